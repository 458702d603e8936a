package rule

import (
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Predicate is a rule in Cypher, about the node n. Text is put together from
// Holon's own words and checked names only; everything else is a parameter. A
// part of the text that is null counts as false.
type Predicate struct {
	// Conjuncts are to be joined by AND. Some may serve as the start of a search.
	Conjuncts []Conjunct
	// Candidates are the conjuncts without regular expressions: at least what the
	// rule is true of. Same as Conjuncts if Matchers is empty.
	Candidates []Conjunct
	Params     map[string]any
	// Matchers are the rule's regular expressions, which never go to the
	// database: see Matcher.
	Matchers []Matcher
}

// Matcher is a regular expression about a text of the node n. Whoever runs the
// predicate reads Value of all candidates and sets the parameter to the ids of
// those nodes that match.
type Matcher struct {
	Param string
	// Value is the expression for the text, null if the node has none.
	Value string
	// Match is for a text, folded if the field is a key.
	Match func(text string) bool
	// Positive says that a conjunct of its own demands the match.
	Positive bool
}

// Text joins conjuncts.
func Text(conjuncts []Conjunct) string {
	if len(conjuncts) == 0 {
		return "true"
	}
	parts := make([]string, len(conjuncts))
	for i, c := range conjuncts {
		parts[i] = c.Text
	}
	return strings.Join(parts, " AND ")
}

// Compile makes the rule a predicate about nodes n of the given kind. Names of
// its parameters begin with the prefix. What cannot be asked of the database is
// INVALID.
func (r *Rule) Compile(kind registry.Kind, prefix string) (*Predicate, error) {
	return r.compile(kind, prefix, false)
}

// LiveParam is the parameter with the newest values: a map from ids to maps from
// measures to values. LiveConnected stands among the measures for whether the
// node is known to be connected; no measure has this name.
const (
	LiveParam     = "live"
	LiveConnected = "*connected"
)

// CompileLive is Compile for nodes whose newest values are given as the
// parameter LiveParam.
func (r *Rule) CompileLive(kind registry.Kind, prefix string) (*Predicate, error) {
	return r.compile(kind, prefix, true)
}

func (r *Rule) compile(kind registry.Kind, prefix string, live bool) (*Predicate, error) {
	c := &compiler{rule: r, prefix: prefix, live: live, out: &Predicate{Params: map[string]any{}}, vars: []variable{{"n", kind}}}
	parts := conjunctsOf(r.root, false)
	for _, part := range parts {
		c.out.Conjuncts = append(c.out.Conjuncts, c.conjunct(part))
	}
	if len(c.out.Matchers) == 0 {
		c.out.Candidates = c.out.Conjuncts
	} else {
		c.candidates = true
		for _, part := range parts {
			c.out.Candidates = append(c.out.Candidates, c.conjunct(part))
		}
	}
	return c.out, c.err
}

// signed is a condition, or the opposite of it.
type signed struct {
	of      condition
	negated bool
}

// conjunctsOf takes apart what is joined by and, negations included.
func conjunctsOf(of condition, negated bool) []signed {
	switch c := of.(type) {
	case negation:
		return conjunctsOf(c.of, !negated)
	case junction:
		if c.and == negated {
			break
		}
		var out []signed
		for _, part := range c.parts {
			out = append(out, conjunctsOf(part, negated)...)
		}
		return out
	}
	return []signed{{of, negated}}
}

// variable is a node in the text and its kind, if that is known.
type variable struct {
	name string
	kind registry.Kind
}

type compiler struct {
	rule   *Rule
	prefix string
	live   bool
	out    *Predicate
	vars   []variable
	// candidates leaves regular expressions out: true where that makes the text
	// true of more nodes, false below a negation of a subquery.
	candidates bool
	under      bool
	matchers   int
	err        error
}

func (c *compiler) param(value any) string {
	for name, known := range c.out.Params {
		if sameScalar(known, value) {
			return "$" + name
		}
	}
	name := fmt.Sprintf("%s%d", c.prefix, len(c.out.Params))
	c.out.Params[name] = value
	return "$" + name
}

// sameScalar says whether two parameters are one.
func sameScalar(a, b any) bool {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case int64:
		b, ok := b.(int64)
		return ok && a == b
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	}
	return false
}

// condition writes a condition or its opposite. Negations go down to the atoms:
// there a positive atom stays raw, so that an index can serve it, and a negative
// one is NOT coalesce(atom, false).
func (c *compiler) condition(of condition, negated bool) string {
	switch x := of.(type) {
	case constant:
		return boolText(x.value != negated)
	case negation:
		return c.condition(x.of, !negated)
	case junction:
		operator := " OR "
		if x.and != negated {
			operator = " AND "
		}
		parts := make([]string, len(x.parts))
		for i, part := range x.parts {
			parts[i] = c.condition(part, negated)
		}
		return "(" + strings.Join(parts, operator) + ")"
	case truth:
		return signedText(c.truth(x.of), negated)
	case comparison:
		if x.operator == "matches" {
			return c.matches(x, negated)
		}
		return signedText(c.comparison(x), negated)
	case quantifier:
		return c.quantifier(x, negated)
	case tally:
		return c.tally(x, negated)
	}
	return "false"
}

func boolText(value bool) string {
	if value {
		return "true"
	}
	return "false"
}

func signedText(atom string, negated bool) string {
	switch {
	case !negated:
		return atom
	case atom == "false":
		return "true"
	case atom == "true":
		return "false"
	case strings.HasSuffix(atom, " IS NULL"):
		return strings.TrimSuffix(atom, " IS NULL") + " IS NOT NULL"
	}
	return "NOT coalesce(" + atom + ", false)"
}

// quantifier writes a subquery: all is not any not, none is not any.
func (c *compiler) quantifier(q quantifier, negated bool) string {
	inverted := q.name == "all"
	exists := (q.name == "any") != negated
	under := c.under
	c.under = under == exists
	match := c.elements(q.of)
	where := c.condition(q.where, inverted)
	c.leave()
	c.under = under
	text := "EXISTS { " + match + joined(where) + " }"
	if exists {
		return text
	}
	return "NOT " + text
}

func (c *compiler) tally(t tally, negated bool) string {
	if c.candidates && hasPattern(t.where) {
		return boolText(!c.under)
	}
	match := c.elements(t.of)
	where := c.condition(t.where, false)
	element := c.vars[len(c.vars)-1].name
	c.leave()
	operator := t.operator
	if operator == "==" {
		operator = "="
	}
	text := "COUNT { " + match + joined(where) + " RETURN DISTINCT " + element + " } " + operator + " " + c.param(t.than)
	if negated {
		return "NOT " + text
	}
	return text
}

func joined(where string) string {
	if where == "true" {
		return ""
	}
	return " AND " + where
}

// elements writes the match of a collection's elements, up to a WHERE, and makes
// the element a variable.
func (c *compiler) elements(of collection) string {
	owner := c.vars[of.depth]
	element := variable{name: fmt.Sprintf("e%d", len(c.vars))}
	var text string
	switch {
	case of.groups:
		element.kind = registry.KindGroup
		text = Memberships(owner.name, element.name)
		switch owner.kind {
		case "":
			text += " AND NOT " + owner.name + ":Group"
		case registry.KindGroup:
			text += " AND false"
		}
	case of.edge != "":
		element.kind = of.edge.Kind()
		text = of.edge.match(owner, element.name)
	case of.direction == registry.DirectionIn:
		text = fmt.Sprintf("MATCH (%s)<-[:%s]-(%s:Group|Device|Asset) WHERE true", owner.name, RelationType(of.relation), element.name)
	default:
		text = fmt.Sprintf("MATCH (%s)-[:%s]->(%s:Group|Device|Asset) WHERE true", owner.name, RelationType(of.relation), element.name)
	}
	c.vars = append(c.vars, element)
	return text
}

// RelationType is the relationship type of a relation, whose name has been
// checked. Names of built-in relationships keep their lower case, so that they
// are other types.
func RelationType(name string) string {
	if registry.BuiltInRelation(name) {
		return name
	}
	return strings.ToUpper(name)
}

func (c *compiler) leave() { c.vars = c.vars[:len(c.vars)-1] }

// Memberships is the match of the groups that a twin is a direct member of. It
// ends in a WHERE to which more can be added.
func Memberships(twin, group string) string {
	return fmt.Sprintf("MATCH (%s)-[m%s:!WAS_RELATED]->(%s:Group) WHERE m%s.inherits IS NULL", twin, group, group, group)
}

// matches leaves a regular expression to whoever runs the predicate.
func (c *compiler) matches(x comparison, negated bool) string {
	if c.candidates {
		switch {
		case c.under:
			return "false"
		case !negated && x.pattern.prefix != "":
			return c.withConstant(*x.left.field, "startsWith", x.pattern.prefix)
		}
		return "true"
	}
	value, guard := c.value(*x.left.field)
	if x.left.field.attribute != "" {
		guard = and(guard, c.plain(*x.left.field))
	}
	name := fmt.Sprintf("%sm%d", c.prefix, c.matchers)
	c.matchers++
	value = guardedValue(guard, value)
	c.out.Matchers = append(c.out.Matchers, Matcher{Param: name, Value: value, Match: x.pattern.expression.MatchString})
	return signedText("n.id IN $"+name, negated)
}

func (c *compiler) refuse(position int, format string, args ...any) {
	if c.err == nil {
		c.err = invalid(c.rule.text, position, "search", format, args...)
	}
}

// hasPattern says whether a condition has a regular expression in it.
func hasPattern(of condition) bool {
	switch x := of.(type) {
	case negation:
		return hasPattern(x.of)
	case junction:
		for _, part := range x.parts {
			if hasPattern(part) {
				return true
			}
		}
	case comparison:
		return x.operator == "matches"
	case quantifier:
		return hasPattern(x.where)
	case tally:
		return hasPattern(x.where)
	}
	return false
}
