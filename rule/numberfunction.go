package rule

import (
	"math"

	"github.com/expr-lang/expr/ast"
)

// functions of one number.
var functions = map[string]func(float64) float64{
	"abs": math.Abs, "round": math.Round, "floor": math.Floor, "ceil": math.Ceil, "sqrt": math.Sqrt, "log": math.Log, "exp": math.Exp,
}

// manyFunctions take two numbers, or more where that makes sense.
var manyFunctions = map[string]func(x, y float64) float64{"min": math.Min, "max": math.Max, "pow": math.Pow}

func (c *numberChecker) function(node ast.Node, name string, arguments []ast.Node) numeric {
	if !c.count(node) {
		return none
	}
	many, isMany := manyFunctions[name]
	one, isOne := functions[name]
	switch {
	case !isMany && !isOne:
		c.fail(node, "unknown", "there is no function %s: there are abs, min, max, round, floor, ceil, sqrt, pow, log and exp", name)
		return none
	case isOne && len(arguments) != 1:
		c.fail(node, "arguments", "%s takes one number", name)
		return none
	case isMany && len(arguments) < 2, name == "pow" && len(arguments) != 2:
		c.fail(node, "arguments", "%s takes two numbers", name)
		return none
	}
	parts := make([]numeric, len(arguments))
	for i, argument := range arguments {
		parts[i] = c.number(argument)
	}
	if isOne {
		return func(e environment) (float64, bool) { v, ok := parts[0](e); return one(v), ok }
	}
	return func(e environment) (float64, bool) {
		value, ok := parts[0](e)
		for _, part := range parts[1:] {
			next, has := part(e)
			value, ok = many(value, next), ok && has
		}
		return value, ok
	}
}

// comparisons of numbers.
var comparisons = map[string]func(x, y float64) bool{
	"==": func(x, y float64) bool { return x == y }, "!=": func(x, y float64) bool { return x != y },
	"<": func(x, y float64) bool { return x < y }, "<=": func(x, y float64) bool { return x <= y },
	">": func(x, y float64) bool { return x > y }, ">=": func(x, y float64) bool { return x >= y },
}

// truth checks a node that has to be true or false.
func (c *numberChecker) truth(node ast.Node) conditional {
	switch n := node.(type) {
	case *ast.BoolNode:
		c.count(n)
		return func(environment) (bool, bool) { return n.Value, true }
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			c.count(n)
			of := c.truth(n.Node)
			return func(e environment) (bool, bool) { is, ok := of(e); return !is, ok }
		}
	case *ast.BinaryNode:
		return c.comparison(n)
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode:
		place, ok := c.input(node, true)
		if !ok {
			return unknown
		}
		return func(e environment) (bool, bool) { is, ok := e[place].(bool); return is, ok }
	}
	c.fail(node, "type", "a condition is expected here, such as measures.power > 3")
	return unknown
}

func (c *numberChecker) comparison(n *ast.BinaryNode) conditional {
	if !c.count(n) {
		return unknown
	}
	if compare := comparisons[n.Operator]; compare != nil {
		left, right := c.number(n.Left), c.number(n.Right)
		return func(e environment) (bool, bool) {
			x, ok1 := left(e)
			y, ok2 := right(e)
			return compare(x, y), ok1 && ok2
		}
	}
	isAnd := n.Operator == "and" || n.Operator == "&&"
	if !isAnd && n.Operator != "or" && n.Operator != "||" {
		c.fail(n, "operator", "a condition is expected here: numbers are compared by == != < <= > and >=")
		return unknown
	}
	left, right := c.truth(n.Left), c.truth(n.Right)
	return func(e environment) (bool, bool) {
		x, ok1 := left(e)
		y, ok2 := right(e)
		if isAnd {
			return x && y, ok1 && ok2
		}
		return x || y, ok1 && ok2
	}
}
