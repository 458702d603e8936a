package rule

import (
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// pattern is a regular expression (RE2: its time is linear in the text).
type pattern struct {
	expression *regexp.Regexp
	// prefix is what every text that it matches begins with.
	prefix string
}

// compilePattern compiles a regular expression. Keys are matched folded, and
// without regard to case.
func compilePattern(text string, key bool) (*pattern, string) {
	if utf8.RuneCountInString(text) > MaxPattern {
		return nil, "a regular expression has at most 200 characters"
	}
	source := text
	if key {
		source = "(?i)" + text
	}
	compiled, err := regexp.Compile(source)
	if err != nil {
		return nil, "the regular expression is wrong: write it as RE2 has it, and \\ as \\\\"
	}
	return &pattern{compiled, literalPrefix(text, key)}, ""
}

// literalPrefix finds abc in ^abc and ^abc.*d.
func literalPrefix(text string, key bool) string {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return ""
	}
	tree = tree.Simplify()
	if tree.Op != syntax.OpConcat || len(tree.Sub) < 2 || tree.Sub[0].Op != syntax.OpBeginText {
		return ""
	}
	literal := tree.Sub[1]
	if literal.Op != syntax.OpLiteral || literal.Flags&syntax.FoldCase != 0 {
		return ""
	}
	prefix := string(literal.Rune)
	if key {
		for _, r := range literal.Rune {
			if r >= utf8.RuneSelf {
				return ""
			}
		}
		return Fold(prefix)
	}
	return prefix
}
