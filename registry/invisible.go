package registry

import (
	"fmt"
	"strings"
	"unicode"
)

// Names that look the same have to be the same, so they hold nothing that cannot
// be seen: no control characters, no zero-width and directional ones, no spaces
// but the common and the ideographic one. Joiners and variation selectors are
// letters' own in many scripts, and are left where they do something.

const (
	joinNot             = '\u200c' // ZERO WIDTH NON-JOINER
	join                = '\u200d' // ZERO WIDTH JOINER
	firstEmojiModifier  = '\U0001f3fb'
	lastEmojiModifier   = '\U0001f3ff'
	firstVariation      = '\ufe00'
	emojiVariation      = '\ufe0f'
	firstMoreVariations = '\U000e0100'
	lastMoreVariations  = '\U000e01ef'
)

// spaces are those that a name may have, but not at its ends.
const spaces = " \u3000"

// blank are letters, marks and symbols that show nothing: fillers of Hangul, the
// grapheme joiner, inherent vowels of Khmer, and Braille without a dot.
const blank = "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800"

// viramas make a joiner choose how two consonants are written, also at the end of
// a word (RFC 5892, appendix A).
const viramas = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d3b\u0d3c\u0d4d\u0dca\u0e3a\u0eba\u0f84\u1039\u103a\u1714\u1734\u17d2\u1a60\u1b44\u1baa\u1bab\u1bf2\u1bf3\u2d7f\ua806\ua8c4\ua953\ua9c0\uaaf6\uabed"

// cursive are the scripts whose letters join.
var cursive = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mandaic, unicode.Nko, unicode.Mongolian, unicode.Phags_Pa, unicode.Adlam, unicode.Hanifi_Rohingya, unicode.Manichaean, unicode.Sogdian,
}

// checkVisible tells of the first character of a name that cannot be seen, nil if
// there is none.
func checkVisible(path, name string) *Violation {
	runes := []rune(name)
	for i, r := range runes {
		var before, next rune
		if i > 0 {
			before = runes[i-1]
		}
		if i < len(runes)-1 {
			next = runes[i+1]
		}
		if hidden(before, r, next) {
			return &Violation{path, "invisible", fmt.Sprintf("has %U as character %d, which cannot be seen: leave it out", r, i+1)}
		}
	}
	return nil
}

// hidden says whether a character shows nothing between its neighbours.
func hidden(before, r, next rune) bool {
	switch {
	case r == joinNot || r == join:
		return !joins(before, r, next)
	case firstVariation <= r && r <= emojiVariation, firstMoreVariations <= r && r <= lastMoreVariations:
		return !varies(before)
	case strings.ContainsRune(spaces, r):
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z) || strings.ContainsRune(blank, r)
}

// joins says whether a joiner does something: after a virama, between letters that
// join, and between emoji.
func joins(before, r, next rune) bool {
	if strings.ContainsRune(viramas, before) {
		return true
	}
	if r == join && emoji(before) && emoji(next) {
		return true
	}
	return unicode.In(before, cursive...) && unicode.In(next, cursive...)
}

// emoji says whether a character is one, or the end of one.
func emoji(r rune) bool {
	return unicode.Is(unicode.So, r) || r == emojiVariation || firstEmojiModifier <= r && r <= lastEmojiModifier
}

// varies says whether there are variants of a character.
func varies(r rune) bool {
	return unicode.In(r, unicode.S, unicode.Han, unicode.Mongolian, unicode.Phags_Pa, unicode.Myanmar) || strings.ContainsRune("0123456789#*‼⁉", r)
}
