package rule

import (
	"strings"
	"time"
)

// Match says whether the rule is true of an object.
func (r *Rule) Match(o Object) bool { return holds(r.root, []Object{o}) }

// holds evaluates a condition. The first of the objects is the one that the rule
// is about, the others are the elements of the collections around.
func holds(c condition, objects []Object) bool {
	switch c := c.(type) {
	case constant:
		return c.value
	case junction:
		for _, part := range c.parts {
			if holds(part, objects) != c.and {
				return !c.and
			}
		}
		return c.and
	case negation:
		return !holds(c.of, objects)
	case truth:
		return valueOf(&c.of, objects) == true
	case comparison:
		return c.holds(objects)
	case quantifier:
		return c.holds(objects)
	case tally:
		n := int64(0)
		for _, element := range c.of.of(objects) {
			if holds(c.where, within(objects, element)) {
				n++
			}
		}
		return ordered(c.operator, compareWhole(n, c.than))
	}
	return false
}

func within(objects []Object, element Object) []Object {
	return append(objects[:len(objects):len(objects)], element)
}

func (q quantifier) holds(objects []Object) bool {
	for _, element := range q.of.of(objects) {
		if holds(q.where, within(objects, element)) != (q.name == "all") {
			return q.name == "any"
		}
	}
	return q.name != "any"
}

// of are the elements of the collection.
func (c collection) of(objects []Object) []Object {
	if c.groups {
		return objects[c.depth].Groups()
	}
	if c.edge != "" {
		return objects[c.depth].Around(c.edge)
	}
	return objects[c.depth].Related(c.relation, c.direction)
}

func (o operand) of(objects []Object) any {
	if o.field == nil {
		return o.value
	}
	return valueOf(o.field, objects)
}

// valueOf is a field's value as it is compared.
func valueOf(f *field, objects []Object) any {
	object := objects[f.depth]
	if f.measure != "" {
		live, ok := object.(Live)
		if !ok {
			return nil
		}
		return lookup(live.Measures(), f.measure)
	}
	if f.attribute != "" {
		return lookup(object.Attributes(), f.attribute)
	}
	value := searchableField(object.Field(f.name))
	if text, ok := value.(string); ok {
		switch f.kind {
		case typeKey:
			return Fold(text)
		case typeEnum:
			return strings.ToUpper(text)
		}
	}
	return value
}

func searchableField(value any) any {
	if at, ok := value.(time.Time); ok {
		return at
	}
	return searchable(value)
}

func (c comparison) holds(objects []Object) bool {
	left, right := c.left.of(objects), c.right.of(objects)
	if c.operator == "==" {
		return equal(left, right)
	}
	if left == nil || right == nil {
		return false
	}
	switch c.operator {
	case "in":
		return among(left, right)
	case "<", "<=", ">", ">=":
		order, comparable := compareValues(left, right)
		return comparable && ordered(c.operator, order)
	}
	text, isText := left.(string)
	if !isText {
		return false
	}
	if c.operator == "matches" {
		return c.pattern.expression.MatchString(text)
	}
	other, isText := right.(string)
	if !isText {
		return false
	}
	switch c.operator {
	case "contains":
		return strings.Contains(text, other)
	case "startsWith":
		return strings.HasPrefix(text, other)
	}
	return strings.HasSuffix(text, other)
}

// equal compares two values; nil equals nil, and what cannot be searched equals
// nothing.
func equal(a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	switch a := a.(type) {
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	order, comparable := compareValues(a, b)
	return comparable && order == 0
}

// among says whether a list holds a value.
func among(value, list any) bool {
	items, ok := list.([]any)
	if !ok {
		return false
	}
	for _, item := range items {
		if equal(value, item) {
			return true
		}
	}
	return false
}

// compareValues orders two texts, two numbers or two times; other values have no
// order.
func compareValues(a, b any) (order int, comparable bool) {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return strings.Compare(a, b), ok
	case time.Time:
		b, ok := b.(time.Time)
		return a.Compare(b), ok
	case int64:
		switch b := b.(type) {
		case int64:
			return compareWhole(a, b), true
		case float64:
			return compareFractions(float64(a), b), true
		}
	case float64:
		switch b := b.(type) {
		case int64:
			return compareFractions(a, float64(b)), true
		case float64:
			return compareFractions(a, b), true
		}
	}
	return 0, false
}

func compareWhole(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func compareFractions(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func ordered(operator string, order int) bool {
	switch operator {
	case "==":
		return order == 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// Compare orders two values that a field has: two numbers, two texts, two times
// or two of true and false. Values of different types are equal.
func Compare(a, b any) int {
	if x, isBool := a.(bool); isBool {
		y, ok := b.(bool)
		switch {
		case !ok || x == y:
			return 0
		case y:
			return -1
		}
		return 1
	}
	order, _ := compareValues(a, b)
	return order
}
