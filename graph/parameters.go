package graph

import "strings"

// theMap is the parameter that all parameters of a statement are sent in.
const theMap = "p"

// inMap lets a statement read its parameters from one map: $id becomes $p.id.
//
// The database keeps a plan for each text and for each combination of its
// parameters' types and sizes: a list of none, one, up to ten, up to a hundred, ...
// and texts alike. A statement with four lists may so be planned a hundred times,
// and planning a large one takes as long as to run it a thousand times. Of a map it
// looks at nothing, so each statement is planned once.
func inMap(text string) string {
	var out strings.Builder
	out.Grow(len(text) + len(text)/8)
	done := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\'', '"', '`':
			i = endOfQuoted(text, i)
		case '$':
			if i+1 < len(text) && isLetter(text[i+1]) {
				out.WriteString(text[done : i+1])
				out.WriteString(theMap + ".")
				done = i + 1
			}
		}
	}
	out.WriteString(text[done:])
	return out.String()
}

// endOfQuoted is where the quote ends that begins at a place: a backslash takes
// the character after it along, but in a name, where the quote itself is doubled.
func endOfQuoted(text string, at int) int {
	quote := text[at]
	for at++; at < len(text) && text[at] != quote; at++ {
		if text[at] == '\\' && quote != '`' {
			at++
		}
	}
	return at
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
