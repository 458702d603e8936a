package graph

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// wordsOf are the words of a text, in lower case, as the full-text index cuts
// them, which is by Unicode's UAX 29: "plc_07", "10.0.0.1" and "o'hara" are one
// word each, "plc-07" is two.
func wordsOf(text string) []string {
	var words []string
	state := -1
	for rest := strings.ToLower(text); rest != ""; {
		var word string
		if word, rest, state = uniseg.FirstWordInString(rest, state); strings.ContainsFunc(word, inWord) {
			words = append(words, word)
		}
	}
	return words
}

// piecesOf are what is joined to a word.
func piecesOf(word string) []string {
	return strings.FieldsFunc(word, func(r rune) bool { return !inWord(r) })
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }
