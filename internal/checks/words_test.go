package checks

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// unwanted is what belongs to one machine or one person's set-up and must not
// be in a repository. Each word is broken in two, so that this file is clean.
var unwanted = []struct {
	why   string
	match *regexp.Regexp
}{
	{"a path of one machine", regexp.MustCompile(`(?:^|[\s"'=:(` + "`" + `])/(?:ho` + `me|ro` + `ot|Us` + `ers)/[A-Za-z0-9._-]+`)},
	{"a host of a package registry", regexp.MustCompile(`regi` + `stry\.(?:npm` + `js|yarn` + `pkg)|registry\.npmmirror|proxy\.gol` + `ang\.org|repo1?\.maven\.(?:apache\.)?org|repo\.maven\.apache|py` + `pi\.org|pythonho` + `sted`)},
	{"a secret", regexp.MustCompile(`\bhk_[A-Za-z0-9_-]{43}\b|-----BEGIN [A-Z ]*PRIVATE KEY`)},
	{"an unfinished place", regexp.MustCompile(`\b(?:TO` + `DO|FIX` + `ME|XX` + `X)\b`)},
	{"a test that may be left out", regexp.MustCompile(`\bt\.Sk` + `ip(?:f|Now)?\(`)},
}

func TestNoUnwantedWords(t *testing.T) {
	for _, name := range files(t) {
		if foreign(name) {
			continue
		}
		text := content(t, name)
		if !utf8.ValidString(text) {
			continue // a picture
		}
		for number, line := range strings.Split(text, "\n") {
			for _, word := range unwanted {
				if found := word.match.FindString(line); found != "" {
					t.Errorf("%s:%d: %s: %s", name, number+1, word.why, strings.TrimSpace(found))
				}
			}
		}
	}
}

func TestUnwantedWordsAreFound(t *testing.T) {
	lines := []string{
		"see /ho" + "me/somebody/notes", `"resolved": "https://regi` + `stry.npm` + `js.org/ws"`,
		"hk_" + strings.Repeat("a", 43), "// TO" + "DO: later", "t.Sk" + "ip()",
	}
	for i, word := range unwanted {
		for j, line := range lines {
			if found := word.match.MatchString(line); found != (i == j) {
				t.Errorf("%s in %q: %t", word.why, line, found)
			}
		}
	}
}
