package rule

import (
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/holon-registry/holon/registry"
)

// checker turns a parsed expression into conditions. It stops at the first
// thing that is wrong.
type checker struct {
	text      string
	nodes     int
	relations bool
	measures  bool
	connected bool
	own       []field
	err       error
}

// scope says where in an expression a node stands: how many collections are
// around it.
type scope struct {
	depth int
	// groups says that the elements of the innermost collection are groups, which
	// can stand for their paths.
	groups bool
}

func (c *checker) fail(at ast.Node, rule, format string, args ...any) {
	if c.err == nil {
		position := 0
		if at != nil {
			position = at.Location().From
		}
		c.err = invalid(c.text, position, rule, format, args...)
	}
}

// count bounds the size of an expression. It says whether to go on.
func (c *checker) count(at ast.Node) bool {
	if c.nodes++; c.nodes > MaxNodes {
		c.fail(at, "size", "the expression has more than %d parts: make it shorter, for instance with `in [...]`", MaxNodes)
	}
	return c.err == nil
}

// condition checks a node that has to be true or false.
func (c *checker) condition(node ast.Node, s scope) condition {
	if !c.count(node) {
		return constant{}
	}
	switch n := node.(type) {
	case *ast.BoolNode:
		return constant{n.Value}
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return negation{c.condition(n.Node, s)}
		}
	case *ast.BinaryNode:
		return c.binary(n, s)
	case *ast.BuiltinNode:
		switch n.Name {
		case "any", "all", "none":
			return c.quantifier(n, s)
		case "count":
			c.fail(node, "type", "count(...) is a number: compare it, as in count(...) > 1")
			return constant{}
		}
		c.fail(node, "unknown", "there is no function %s: there are any, all, none and count", n.Name)
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode, *ast.PointerNode:
		f, ok := c.field(node, s)
		if !ok {
			return constant{}
		}
		switch f.kind {
		case typeBoolean:
			return truth{f}
		case typeAttribute:
			return comparison{operator: "==", left: operand{field: &f}, right: operand{value: true}}
		}
		c.fail(node, "type", "%s is %s, not true or false: compare it with something", f, f.kind)
	case *ast.CallNode:
		c.fail(node, "unknown", "there is no such function: there are any, all, none and count")
	case *ast.ConditionalNode:
		c.fail(node, "operator", "there is no if and no ?: write `a and b or not a and c`")
	default:
		c.fail(node, "type", "a condition is expected here, such as state == 'active'")
	}
	if c.err == nil {
		c.fail(node, "type", "a condition is expected here, such as state == 'active'")
	}
	return constant{}
}

func (c *checker) binary(n *ast.BinaryNode, s scope) condition {
	switch n.Operator {
	case "and", "&&", "or", "||":
		j := junction{and: n.Operator == "and" || n.Operator == "&&"}
		for _, side := range []ast.Node{n.Left, n.Right} {
			part := c.condition(side, s)
			if inner, ok := part.(junction); ok && inner.and == j.and {
				j.parts = append(j.parts, inner.parts...)
			} else {
				j.parts = append(j.parts, part)
			}
		}
		return j
	case "!=":
		return negation{c.compare(n, "==", s)}
	case "==", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches":
		return c.compare(n, n.Operator, s)
	case "+", "-", "*", "/", "%", "**", "^":
		c.fail(n, "operator", "there is no arithmetic: compare fields with constants")
	default:
		c.fail(n, "operator", "there is no operator %s", n.Operator)
	}
	return constant{}
}

// quantifier checks any, all and none.
func (c *checker) quantifier(n *ast.BuiltinNode, s scope) condition {
	of, inner, ok := c.elements(n, s)
	if !ok {
		return constant{}
	}
	if len(n.Arguments) != 2 {
		c.fail(n, "arguments", "%s takes a collection and a condition, as in %s(relations.located_at, .depth > 1)", n.Name, n.Name)
		return constant{}
	}
	return quantifier{n.Name, of, c.predicate(n.Arguments[1], inner)}
}

// tally checks count(...) that is compared with a whole number.
func (c *checker) tally(n *ast.BuiltinNode, operator string, than ast.Node, s scope) condition {
	if !c.count(n) {
		return constant{}
	}
	of, inner, ok := c.elements(n, s)
	if !ok {
		return constant{}
	}
	t := tally{of: of, where: constant{true}, operator: operator}
	if len(n.Arguments) == 2 {
		t.where = c.predicate(n.Arguments[1], inner)
	}
	number, isWhole := than.(*ast.IntegerNode)
	if !isWhole || !slices.Contains([]string{"==", "<", "<=", ">", ">="}, operator) {
		c.fail(than, "type", "count(...) is compared with a whole number by ==, !=, <, <=, > or >=")
		return constant{}
	}
	c.count(than)
	t.than = int64(number.Value)
	return t
}

// elements checks the collection of a quantifier or a count.
func (c *checker) elements(n *ast.BuiltinNode, s scope) (collection, scope, bool) {
	if len(n.Arguments) == 0 {
		c.fail(n, "arguments", "%s needs a collection: %s", n.Name, collectionNames)
		return collection{}, s, false
	}
	of, ok := c.collection(n.Arguments[0], s)
	if !ok {
		return of, s, false
	}
	c.relations = true
	inner := scope{depth: s.depth + 1, groups: of.ofGroups()}
	if inner.depth > MaxNesting {
		c.fail(n, "nesting", "any, all, none and count lie at most %d deep in one another", MaxNesting)
		return of, s, false
	}
	return of, inner, true
}

func (c *checker) predicate(node ast.Node, s scope) condition {
	if p, ok := node.(*ast.PredicateNode); ok {
		node = p.Node
	}
	return c.condition(node, s)
}

// collection checks groups, parent and the like, relations.name and inverse.name,
// of the object or of the innermost element (.groups, .relations.name).
func (c *checker) collection(node ast.Node, s scope) (collection, bool) {
	parts, depth, ok := c.names(node, s)
	if !ok {
		return collection{}, false
	}
	out := collection{depth: depth, direction: registry.DirectionOut, position: node.Location().From}
	switch {
	case len(parts) == 1 && parts[0] == "groups":
		out.groups = true
		return out, true
	case len(parts) == 1 && Edge(parts[0]).Known():
		out.edge = Edge(parts[0])
		return out, true
	case len(parts) == 2 && (parts[0] == "relations" || parts[0] == "inverse"):
		if parts[0] == "inverse" {
			out.direction = registry.DirectionIn
		}
		out.relation = Fold(parts[1])
		if wrong := registry.CheckRelationName("where", out.relation); wrong != nil {
			c.fail(node, "name", "%q: %s", parts[1], wrong.Message)
			return out, false
		}
		return out, true
	}
	c.fail(node, "type", "a collection is expected here: %s", collectionNames)
	return out, false
}

// names splits a chain such as attributes.address.city, or .attributes.x of an
// element, into its names.
func (c *checker) names(node ast.Node, s scope) (parts []string, depth int, ok bool) {
	for at := node; ; {
		if !c.count(at) {
			return nil, 0, false
		}
		switch n := at.(type) {
		case *ast.ChainNode:
			at = n.Node
		case *ast.MemberNode:
			name, isName := n.Property.(*ast.StringNode)
			if !isName || n.Method {
				c.fail(node, "type", "a name is expected here")
				return nil, 0, false
			}
			parts, at = append(parts, name.Value), n.Node
		case *ast.IdentifierNode:
			parts = append(parts, n.Value)
			slices.Reverse(parts)
			return parts, 0, true
		case *ast.PointerNode:
			if n.Name != "" || s.depth == 0 {
				c.fail(node, "unknown", "there is no #%s", n.Name)
				return nil, 0, false
			}
			slices.Reverse(parts)
			return parts, s.depth, true
		default:
			c.fail(at, "type", "the name of a field is expected here")
			return nil, 0, false
		}
	}
}
