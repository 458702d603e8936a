package rule

import (
	"strings"

	"github.com/holon-registry/holon/registry"
)

// value is the expression for a field, and what has to hold of the node beside:
// "false" if nodes of this kind never have the field, empty if nothing.
func (c *compiler) value(f field) (expression, guard string) {
	v := c.vars[f.depth]
	if f.measure != "" {
		if !c.live {
			c.refuse(f.position, "newest values are not searched by: follow them with twinChanged, or leave %s out", f)
			return "null", "false"
		}
		return liveOf(v) + "." + "`" + strings.ReplaceAll(f.measure, ".", "`.`") + "`", ""
	}
	if f.attribute != "" {
		// A group's own name is a property too.
		if top, _, _ := strings.Cut(f.attribute, "."); top == string(FieldName) {
			guard = v.isNot(registry.KindGroup)
		}
		return v.name + ".`" + f.attribute + "`", guard
	}
	switch f.name {
	case FieldReference:
		return v.name + ".keyFold", v.isNot(registry.KindGroup)
	case FieldPath:
		return v.name + ".keyFold", v.is(registry.KindGroup)
	case FieldName:
		return v.name + ".name", v.is(registry.KindGroup)
	case FieldTemplate:
		return v.name + ".templateFold", ""
	case FieldKind:
		if v.kind != "" {
			return "'" + string(v.kind) + "'", ""
		}
		return "CASE WHEN " + v.name + ":Group THEN 'GROUP' WHEN " + v.name + ":Device THEN 'DEVICE' ELSE 'ASSET' END", ""
	case FieldConnected:
		if c.live && f.depth == 0 {
			return "coalesce(" + liveOf(v) + ".`" + LiveConnected + "`, " + v.name + ".connected)", ""
		}
	case FieldComponent:
		return "EXISTS { (" + v.name + ")-[:COMPONENT_OF]->(:Device) }", ""
	}
	return v.name + "." + string(f.name), ""
}

// liveOf are the newest values of a node, which are given as a parameter.
func liveOf(v variable) string { return "$" + LiveParam + "[" + v.name + ".id]" }

func (v variable) is(kind registry.Kind) string {
	switch v.kind {
	case kind:
		return ""
	case "":
		return v.name + ":" + label(kind)
	}
	return "false"
}

func (v variable) isNot(kind registry.Kind) string {
	switch v.kind {
	case kind:
		return "false"
	case "":
		return "NOT " + v.name + ":" + label(kind)
	}
	return ""
}

func label(kind registry.Kind) string {
	switch kind {
	case registry.KindGroup:
		return "Group"
	case registry.KindDevice:
		return "Device"
	}
	return "Asset"
}

func guarded(guard, atom string) string {
	switch guard {
	case "":
		return atom
	case "false":
		return "false"
	}
	return "(" + guard + " AND " + atom + ")"
}

func (c *compiler) truth(f field) string {
	value, guard := c.value(f)
	return guarded(guard, value+" = true")
}

var cypherOperators = map[string]string{
	"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "in": "IN",
	"contains": "CONTAINS", "startsWith": "STARTS WITH", "endsWith": "ENDS WITH",
}

// comparison writes an atom.
func (c *compiler) comparison(x comparison) string {
	if x.left.field == nil {
		return c.constantIn(x)
	}
	value, guard := c.value(*x.left.field)
	if x.right.field != nil {
		return c.betweenFields(x, value, guard)
	}
	if x.right.value == nil {
		return missing(value, guard)
	}
	return c.withConstant(*x.left.field, x.operator, x.right.value)
}

// withConstant writes a comparison of a field with a constant.
func (c *compiler) withConstant(f field, operator string, constant any) string {
	value, guard := c.value(f)
	if f.attribute != "" && mayBeEncoded(operator, constant) {
		guard = and(guard, c.plain(f))
	}
	return guarded(guard, value+" "+cypherOperators[operator]+" "+c.param(constant))
}

// missing writes that a field is nil: also where the guard fails.
func missing(value, guard string) string {
	switch {
	case guard == "false":
		return "true"
	case guard != "":
		return "(NOT (" + guard + ") OR " + value + " IS NULL)"
	case strings.HasPrefix(value, "EXISTS") || strings.HasPrefix(value, "CASE") || strings.HasPrefix(value, "'"):
		return "false"
	}
	return value + " IS NULL"
}

// constantIn writes that an attribute's list holds a constant.
func (c *compiler) constantIn(x comparison) string {
	list, guard := c.value(*x.right.field)
	return guarded(guard, "("+list+" IS :: LIST<ANY> AND "+c.param(x.left.value)+" IN "+list+")")
}

// betweenFields writes a comparison of two fields. Nil equals nil.
func (c *compiler) betweenFields(x comparison, left, leftGuard string) string {
	right, rightGuard := c.value(*x.right.field)
	both := and(leftGuard, rightGuard)
	for _, f := range []*field{x.left.field, x.right.field} {
		if f.kind == typeAttribute && f.measure == "" {
			both = and(both, c.plain(*f))
		}
	}
	atom := left + " " + cypherOperators[x.operator] + " " + right
	switch {
	case x.operator == "in":
		return guarded(both, "("+right+" IS :: LIST<ANY> AND "+atom+")")
	case x.operator == "==":
		return "(" + guarded(both, atom) + " OR (" + missing(left, leftGuard) + " AND " + missing(right, rightGuard) + "))"
	case strings.ContainsAny(x.operator, "<>") && x.left.field.kind == typeAttribute && x.right.field.kind == typeAttribute:
		// The database would put lists in order too, and false before true.
		atom = "(" + atom + " AND " + left + " IS :: STRING | INTEGER | FLOAT)"
	}
	return guarded(both, atom)
}

func and(a, b string) string {
	switch {
	case a == "false" || b == "false":
		return "false"
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + " AND " + b
}

// plain says that an attribute is not kept as JSON text, which would compare as
// a text.
func (c *compiler) plain(f field) string {
	return "NOT '" + f.attribute + "' IN coalesce(" + c.vars[f.depth].name + ".encoded, [])"
}

// mayBeEncoded says whether a comparison with a constant could be true of a JSON
// text, which begins with [ or {.
func mayBeEncoded(operator string, value any) bool {
	switch v := value.(type) {
	case string:
		switch operator {
		case "==", "startsWith":
			return v == "" && operator == "startsWith" || strings.HasPrefix(v, "[") || strings.HasPrefix(v, "{")
		}
		return true
	case []any:
		for _, item := range v {
			if text, ok := item.(string); ok && (strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")) {
				return true
			}
		}
	}
	return false
}
