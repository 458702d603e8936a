package rule

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
)

// flipped is the operator with its sides exchanged.
var flipped = map[string]string{"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// compare checks a comparison. A constant on the left changes sides.
func (c *checker) compare(n *ast.BinaryNode, operator string, s scope) condition {
	if tallied, ok := n.Left.(*ast.BuiltinNode); ok && tallied.Name == "count" {
		return c.tally(tallied, operator, n.Right, s)
	}
	if tallied, ok := n.Right.(*ast.BuiltinNode); ok && tallied.Name == "count" && flipped[operator] != "" {
		return c.tally(tallied, flipped[operator], n.Left, s)
	}
	if operator == "in" {
		return c.membership(n, s)
	}
	left, ok := c.operand(n.Left, s)
	if !ok {
		return constant{}
	}
	right, ok := c.operand(n.Right, s)
	if !ok {
		return constant{}
	}
	if left.field == nil && flipped[operator] != "" {
		left, right, operator = right, left, flipped[operator]
	}
	if left.field == nil {
		c.fail(n, "type", "a field is expected on the left, such as attributes.colour")
		return constant{}
	}
	out := comparison{operator: operator, left: left, right: right}
	if right.field != nil {
		c.betweenFields(n, out)
		return out
	}
	value, problem := constantFor(*left.field, operator, right.value)
	if problem != "" {
		c.fail(n, "type", "%s %s", left.field, problem)
		return constant{}
	}
	out.right.value = value
	if operator == "matches" {
		return c.matches(n, out)
	}
	return out
}

// matches checks a regular expression. The database never gets it, and so it is
// about fields of the object itself, whose candidates can be listed.
func (c *checker) matches(n *ast.BinaryNode, out comparison) condition {
	text, isText := out.right.value.(string)
	if !isText {
		c.fail(n, "type", "a regular expression in quotes is expected after matches")
		return constant{}
	}
	if out.left.field.depth > 0 {
		c.fail(n, "search", "matches cannot look at elements inside any, all, none and count: use startsWith, contains or ==")
		return constant{}
	}
	var problem string
	if out.pattern, problem = compilePattern(text, out.left.field.kind == typeKey); problem != "" {
		c.fail(n.Right, "pattern", "%s", problem)
		return constant{}
	}
	return out
}

// membership checks x in [a, b], x in attributes.list and 'path' in groups.
func (c *checker) membership(n *ast.BinaryNode, s scope) condition {
	left, ok := c.operand(n.Left, s)
	if !ok {
		return constant{}
	}
	out := comparison{operator: "in", left: left}
	if list, isList := n.Right.(*ast.ArrayNode); isList {
		if left.field == nil {
			c.fail(n, "type", "a field is expected before in [...]")
			return constant{}
		}
		values, ok := c.list(list, *left.field)
		if !ok {
			return constant{}
		}
		out.right.value = values
		return out
	}
	if isGroups(n.Right) {
		return c.inGroups(n, left, s)
	}
	right, ok := c.operand(n.Right, s)
	if !ok {
		return constant{}
	}
	if right.field == nil || right.field.kind != typeAttribute {
		c.fail(n.Right, "type", "a list in brackets, an attribute or groups is expected after in")
		return constant{}
	}
	if left.field != nil && left.field.kind != typeAttribute && left.field.kind != typeText || left.field == nil && left.value == nil {
		c.fail(n.Left, "type", "a constant, an attribute or a text is expected before in")
		return constant{}
	}
	out.right = right
	return out
}

// isGroups says whether a node is groups or .groups.
func isGroups(node ast.Node) bool {
	if member, ok := node.(*ast.MemberNode); ok {
		name, isName := member.Property.(*ast.StringNode)
		_, ofElement := member.Node.(*ast.PointerNode)
		return isName && ofElement && name.Value == "groups"
	}
	name, ok := node.(*ast.IdentifierNode)
	return ok && name.Value == "groups"
}

// inGroups is 'path' in groups: short for any(groups, # == 'path').
func (c *checker) inGroups(n *ast.BinaryNode, left operand, s scope) condition {
	path, isText := left.value.(string)
	if left.field != nil || !isText {
		c.fail(n.Left, "type", "the path of a group in quotes is expected before in groups")
		return constant{}
	}
	of, ok := c.collection(n.Right, s)
	if ok && s.depth+1 > MaxNesting {
		c.fail(n, "nesting", "any, all, none and count lie at most %d deep in one another", MaxNesting)
	}
	c.relations = true
	at := n.Right.Location().From
	return quantifier{"any", of, comparison{
		operator: "==", left: operand{field: &field{depth: s.depth + 1, kind: typeKey, name: FieldPath, position: at}},
		right: operand{value: Fold(path)},
	}}
}

func (c *checker) list(n *ast.ArrayNode, f field) ([]any, bool) {
	if len(n.Nodes) > MaxList {
		c.fail(n, "size", "a list has at most %d items", MaxList)
		return nil, false
	}
	c.count(n)
	values := make([]any, 0, len(n.Nodes))
	for _, item := range n.Nodes {
		value, ok := c.literal(item)
		if !ok || value == nil {
			c.fail(item, "type", "a list holds texts, numbers, true and false; compare with nil by ==")
			return nil, false
		}
		plain, problem := constantFor(f, "==", value)
		if problem != "" {
			c.fail(item, "type", "%s %s", f, problem)
			return nil, false
		}
		values = append(values, plain)
	}
	return values, c.err == nil
}

func (c *checker) operand(node ast.Node, s scope) (operand, bool) {
	switch node.(type) {
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode, *ast.PointerNode:
		f, ok := c.field(node, s)
		return operand{field: &f}, ok
	}
	if value, ok := c.literal(node); ok {
		return operand{value: value}, true
	}
	switch n := node.(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			c.fail(node, "operator", "not belongs before brackets here: write not (a == b)")
		}
	case *ast.BinaryNode:
		if slices.Contains([]string{"+", "-", "*", "/", "%", "**", "^"}, n.Operator) {
			c.fail(node, "operator", "there is no arithmetic: compare fields with constants")
		}
	case *ast.ArrayNode:
		c.fail(node, "type", "a list stands after in only")
	}
	if c.err == nil {
		c.fail(node, "type", "a field or a constant is expected here")
	}
	return operand{}, false
}

// literal is a constant's value.
func (c *checker) literal(node ast.Node) (any, bool) {
	if !c.count(node) {
		return nil, false
	}
	switch n := node.(type) {
	case *ast.NilNode:
		return nil, true
	case *ast.StringNode:
		return n.Value, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.IntegerNode:
		return int64(n.Value), true
	case *ast.FloatNode:
		return n.Value, !math.IsInf(n.Value, 0) && !math.IsNaN(n.Value)
	case *ast.UnaryNode:
		if n.Operator != "-" && n.Operator != "+" {
			return nil, false
		}
		value, ok := c.literal(n.Node)
		switch v := value.(type) {
		case int64:
			if n.Operator == "-" {
				return -v, ok
			}
			return v, ok
		case float64:
			if n.Operator == "-" {
				return -v, ok
			}
			return v, ok
		}
	}
	return nil, false
}

// constantFor makes a constant comparable with a field, or says why it is not.
func constantFor(f field, operator string, value any) (any, string) {
	ordered := operator == "<" || operator == "<=" || operator == ">" || operator == ">="
	textual := operator == "contains" || operator == "startsWith" || operator == "endsWith" || operator == "matches"
	text, isText := value.(string)
	_, isBool := value.(bool)
	isNumber := false
	switch value.(type) {
	case int64, float64:
		isNumber = true
	}
	switch {
	case value == nil && (ordered || textual):
		return nil, "can be compared with nil by == and != only"
	case value == nil:
		return nil, ""
	case textual && !isText:
		return nil, "needs a text in quotes after " + operator
	case textual && (f.kind == typeNumber || f.kind == typeBoolean || f.kind == typeTime):
		return nil, "is " + f.kind.String() + ": " + operator + " is for texts"
	case ordered && isBool:
		return nil, "cannot be greater or less than true or false"
	}
	switch f.kind {
	case typeText, typeKey, typeEnum:
		if !isText {
			return nil, "is " + f.kind.String() + ": compare it with a text in quotes"
		}
		if f.kind == typeKey && operator != "matches" {
			return Fold(text), ""
		}
		if f.kind == typeEnum && operator != "matches" {
			return strings.ToUpper(text), ""
		}
	case typeNumber:
		if !isNumber {
			return nil, "is a number: compare it with one"
		}
	case typeBoolean:
		if !isBool {
			return nil, "is true or false: compare it with one of them"
		}
	case typeTime:
		at, ok := parseTime(text)
		if !isText || !ok {
			return nil, "is a time: compare it with one in quotes, such as '2026-03-29T01:00:00Z' or '2026-03-29'"
		}
		return at, ""
	}
	return value, ""
}

func parseTime(text string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// betweenFields checks that two fields can be compared.
func (c *checker) betweenFields(n ast.Node, of comparison) {
	a, b := of.left.field.kind, of.right.field.kind
	textual := of.operator == "contains" || of.operator == "startsWith" || of.operator == "endsWith"
	text := func(t fieldType) bool { return t == typeText || t == typeAttribute }
	var fits bool
	switch {
	case of.operator == "matches":
		c.fail(n, "type", "a regular expression in quotes is expected after matches")
		return
	case textual:
		fits = text(a) && text(b) || a == typeKey && b == typeKey
	case a == typeAttribute || b == typeAttribute:
		other := a
		if a == typeAttribute {
			other = b
		}
		fits = other == typeText || other == typeNumber || other == typeAttribute || other == typeBoolean && of.operator == "=="
	case a == typeBoolean || a == typeEnum:
		fits = a == b && of.operator == "==" && (a != typeEnum || of.left.field.name == of.right.field.name)
	default:
		fits = a == b
	}
	if !fits {
		c.fail(n, "type", "%s (%s) and %s (%s) cannot be compared by %s", of.left.field, a, of.right.field, b, of.operator)
	}
}
