package rule

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"github.com/holon-registry/holon/registry"
)

// Number is a checked expression whose value is a number: arithmetic over
// measures.<name> and attributes.<name>, with + - * / % **, with abs, min, max,
// round, floor, ceil, sqrt, pow, log and exp, and with conditions, as in
// measures.on ? measures.power : 0. It is never changed and safe for concurrent
// use.
type Number struct {
	text string
	root numeric
	// inputs are the paths of measures and attributes that it asks for, and what
	// it takes each for.
	inputs []input
}

// input is a measure, a part of one, or an attribute.
type input struct {
	field
	boolean bool
}

// environment has the values of the inputs, in their order.
type environment []any

type (
	// numeric is a part of an expression that has a number; false if there is
	// none, as of a division by zero.
	numeric func(environment) (float64, bool)
	// conditional is a part that is true or false.
	conditional func(environment) (value, ok bool)
)

// String is the text that the expression was made from.
func (n *Number) String() string { return n.text }

// Measures are the names of the measures that the expression asks for.
func (n *Number) Measures() []string {
	var out []string
	for _, in := range n.inputs {
		if name, _, _ := strings.Cut(in.measure, "."); name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// Evaluate is the value of the expression. There is none if an input has none or
// one of another type, or if the result is no finite number.
func (n *Number) Evaluate(measure func(name string) any, attributes registry.Attributes) (float64, bool) {
	values := make(environment, len(n.inputs))
	for i, in := range n.inputs {
		var value any
		if in.attribute != "" {
			value = lookup(attributes, in.attribute)
		} else {
			name, rest, parts := strings.Cut(in.measure, ".")
			if value = measure(name); parts {
				object, _ := registry.PlainValue(value).(map[string]any)
				value = object[rest]
			}
		}
		switch v := value.(type) {
		case bool:
			if !in.boolean {
				return 0, false
			}
		case int64:
			value = float64(v)
			if in.boolean {
				return 0, false
			}
		case float64:
			if in.boolean {
				return 0, false
			}
		default:
			return 0, false
		}
		values[i] = value
	}
	value, ok := n.root(values)
	return value, ok && !math.IsNaN(value) && !math.IsInf(value, 0)
}

// parsedNumbers are expressions that were parsed before: they are evaluated each
// time that something is read.
var parsedNumbers struct {
	sync.RWMutex
	byText map[string]*Number
}

const maxParsedNumbers = 4096

// ParseNumber checks an expression that is a number. What is wrong with it is
// INVALID at the path "computed", with the place as line and column.
func ParseNumber(text string) (*Number, error) {
	parsedNumbers.RLock()
	n := parsedNumbers.byText[text]
	parsedNumbers.RUnlock()
	if n != nil {
		return n, nil
	}
	n, err := parseNumber(text)
	if err != nil {
		return nil, err
	}
	parsedNumbers.Lock()
	defer parsedNumbers.Unlock()
	if parsedNumbers.byText == nil || len(parsedNumbers.byText) >= maxParsedNumbers {
		parsedNumbers.byText = map[string]*Number{}
	}
	parsedNumbers.byText[text] = n
	return n, nil
}

func parseNumber(text string) (number *Number, err error) {
	if n := utf8.RuneCountInString(text); n > MaxText || !utf8.ValidString(text) {
		return nil, registry.InvalidField(pathComputed, "length", "has at most %d characters", MaxText)
	}
	if strings.TrimSpace(text) == "" {
		return nil, registry.InvalidField(pathComputed, "syntax", "is empty")
	}
	defer func() {
		// As in Parse.
		if recover() != nil {
			number, err = nil, registry.InvalidField(pathComputed, "syntax", "is not an expression")
		}
	}()
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, atPath(pathComputed, syntaxError(text, err))
	}
	c := numberChecker{checker: checker{text: text}}
	root := c.number(tree.Node)
	if c.err != nil {
		return nil, atPath(pathComputed, c.err)
	}
	return &Number{text: text, root: root, inputs: c.inputs}, nil
}

const pathComputed = "computed"

// atPath moves an error of this package to another path.
func atPath(path string, err error) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || len(e.Violations) == 0 {
		return err
	}
	return registry.InvalidField(path, e.Violations[0].Rule, "%s", e.Violations[0].Message)
}

// numberChecker turns a parsed expression into something that can be evaluated.
type numberChecker struct {
	checker
	inputs []input
}

func none(environment) (float64, bool) { return 0, false }

func unknown(environment) (bool, bool) { return false, false }

// number checks a node that has to be a number.
func (c *numberChecker) number(node ast.Node) numeric {
	switch n := node.(type) {
	case *ast.IntegerNode:
		return c.constant(node, float64(n.Value))
	case *ast.FloatNode:
		return c.constant(node, n.Value)
	case *ast.UnaryNode:
		return c.signed(n)
	case *ast.BinaryNode:
		return c.arithmetic(n)
	case *ast.ConditionalNode:
		return c.choice(n)
	case *ast.BuiltinNode:
		return c.function(node, n.Name, n.Arguments)
	case *ast.CallNode:
		name, isName := n.Callee.(*ast.IdentifierNode)
		if isName {
			return c.function(node, name.Value, n.Arguments)
		}
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode:
		place, ok := c.input(node, false)
		if !ok {
			return none
		}
		return func(e environment) (float64, bool) { v, ok := e[place].(float64); return v, ok }
	}
	c.fail(node, "type", "a number is expected here, such as measures.temperature or 1.5")
	return none
}

func (c *numberChecker) constant(node ast.Node, value float64) numeric {
	c.count(node)
	return func(environment) (float64, bool) { return value, true }
}

func (c *numberChecker) signed(n *ast.UnaryNode) numeric {
	if !c.count(n) {
		return none
	}
	of := c.number(n.Node)
	switch n.Operator {
	case "+":
		return of
	case "-":
		return func(e environment) (float64, bool) { v, ok := of(e); return -v, ok }
	}
	c.fail(n, "operator", "a number is expected here: not belongs before a condition")
	return none
}

// arithmetics are the operators between numbers.
var arithmetics = map[string]func(x, y float64) float64{
	"+": func(x, y float64) float64 { return x + y }, "-": func(x, y float64) float64 { return x - y },
	"*": func(x, y float64) float64 { return x * y }, "/": func(x, y float64) float64 { return x / y },
	"%": math.Mod, "**": math.Pow, "^": math.Pow,
}

func (c *numberChecker) arithmetic(n *ast.BinaryNode) numeric {
	operator := arithmetics[n.Operator]
	if operator == nil {
		c.fail(n, "operator", "a number is expected here: numbers are put together by + - * / %% and **; comparisons stand before ?")
		return none
	}
	if !c.count(n) {
		return none
	}
	left, right := c.number(n.Left), c.number(n.Right)
	return func(e environment) (float64, bool) {
		x, ok1 := left(e)
		y, ok2 := right(e)
		return operator(x, y), ok1 && ok2
	}
}

func (c *numberChecker) choice(n *ast.ConditionalNode) numeric {
	if !c.count(n) {
		return none
	}
	when, then, otherwise := c.truth(n.Cond), c.number(n.Exp1), c.number(n.Exp2)
	return func(e environment) (float64, bool) {
		is, ok := when(e)
		switch {
		case !ok:
			return 0, false
		case is:
			return then(e)
		}
		return otherwise(e)
	}
}

// input notes a measure or an attribute, and returns its place.
func (c *numberChecker) input(node ast.Node, boolean bool) (int, bool) {
	f, ok := c.field(node, scope{})
	if !ok {
		return 0, false
	}
	if f.measure == "" && f.attribute == "" {
		c.fail(node, "unknown", "only measures.<name> and attributes.<name> can be computed with, not %s", f)
		return 0, false
	}
	for i, known := range c.inputs {
		if known.measure != f.measure || known.attribute != f.attribute {
			continue
		}
		if known.boolean != boolean {
			c.fail(node, "type", "%s cannot be a number here and true or false there", f)
			return 0, false
		}
		return i, true
	}
	c.inputs = append(c.inputs, input{f, boolean})
	return len(c.inputs) - 1, true
}
