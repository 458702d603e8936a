package rule

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/holon-registry/holon/registry"
)

// The bounds of an expression.
const (
	MaxText    = 4000 // characters
	MaxNodes   = 200  // names, constants and operators
	MaxNesting = 4    // any, all, none and count inside one another
	MaxList    = 32   // items of a list
	MaxPattern = 200  // characters of a regular expression
)

// Rule is a checked expression. It is never changed and safe for concurrent
// use.
type Rule struct {
	text string
	root condition
	// relations says that the rule asks for neighbours.
	relations bool
	// measures says that it asks for newest values, connected that it asks whether
	// the object itself is connected.
	measures, connected bool
	// own are the fields of the object itself that it names.
	own []field
}

// String is the text that the rule was made from.
func (r *Rule) String() string { return r.text }

// NeedsNeighbours says whether matching the rule asks an object for its groups
// or relations.
func (r *Rule) NeedsNeighbours() bool { return r.relations }

// NeedsMeasures says whether matching the rule asks for newest values.
func (r *Rule) NeedsMeasures() bool { return r.measures }

// NeedsConnected says whether matching the rule asks if the object itself is
// connected.
func (r *Rule) NeedsConnected() bool { return r.connected }

// Parse checks an expression. What is wrong with it is INVALID at the path
// "where", with the place as line and column.
func Parse(text string) (rule *Rule, err error) {
	if n := utf8.RuneCountInString(text); n > MaxText || !utf8.ValidString(text) {
		return nil, registry.InvalidField("where", "length", "has at most %d characters", MaxText)
	}
	if strings.TrimSpace(text) == "" {
		return nil, registry.InvalidField("where", "syntax", "is empty: write a condition, or leave it out")
	}
	defer func() {
		// A text that the parser stumbles over is a wrong text, not a reason to
		// end the process.
		if recover() != nil {
			rule, err = nil, registry.InvalidField("where", "syntax", "is not an expression")
		}
	}()
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, syntaxError(text, err)
	}
	c := checker{text: text}
	root := c.condition(tree.Node, scope{})
	if c.err != nil {
		return nil, c.err
	}
	return &Rule{text: text, root: root, relations: c.relations, measures: c.measures, connected: c.connected, own: c.own}, nil
}

// syntaxError says what the parser did not understand, in its own words.
func syntaxError(text string, err error) error {
	if e, ok := errors.AsType[*file.Error](err); ok {
		message := strings.ReplaceAll(e.Message, "\n", " ")
		return invalid(text, e.From, "syntax", "%s: check brackets, quotes and operators there", message)
	}
	return registry.InvalidField("where", "syntax", "is not an expression")
}

// invalid is an error at a place in the text.
func invalid(text string, position int, rule, format string, args ...any) error {
	line, column := place(text, position)
	return registry.InvalidField("where", rule, "%d:%d: %s", line, column, fmt.Sprintf(format, args...))
}

// place turns a number of characters into a line and a column, which begin with
// one.
func place(text string, position int) (line, column int) {
	line, column = 1, 1
	for i, r := range []rune(text) {
		if i >= position {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}
