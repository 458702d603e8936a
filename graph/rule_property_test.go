package graph_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// net is a random world for rules: things and their relations, as they were
// made.
type net struct {
	things []rule.Thing
	edges  []netEdge
}

type netEdge struct {
	from, to int
	name     string
	tag      bool
}

// netThing is a thing of a net as rules see it.
type netThing struct {
	rule.Thing
	net *net
	i   int
}

// Groups are the ends of relations to groups that are no tags.
func (o netThing) Groups() []rule.Object {
	seen := map[int]bool{}
	var out []rule.Object
	for _, e := range o.net.edges {
		if _, isGroup := o.net.things[e.to].Of.(*registry.Group); e.from == o.i && isGroup && !e.tag && !seen[e.to] && o.Field(rule.FieldKind) != "GROUP" {
			seen[e.to] = true
			out = append(out, o.net.object(e.to))
		}
	}
	return out
}

// Related are the ends of relations of a name.
func (o netThing) Related(name string, direction registry.Direction) []rule.Object {
	var out []rule.Object
	for _, e := range o.net.edges {
		switch {
		case e.name != name:
		case direction == registry.DirectionOut && e.from == o.i:
			out = append(out, o.net.object(e.to))
		case direction == registry.DirectionIn && e.to == o.i:
			out = append(out, o.net.object(e.from))
		}
	}
	return out
}

// Around are the ends of edges that are no relations.
func (o netThing) Around(edge rule.Edge) []rule.Object {
	name, direction := edge.Relationship()
	return o.Related(name, direction)
}

func (n *net) object(i int) rule.Object { return netThing{n.things[i], n, i} }

// netValues are values of attributes, with every type that there is, so that
// comparisons meet what they cannot compare.
var netValues = []any{
	nil, "a", "b", "abc", "B", "", int64(1), int64(2), 1.5, 2.0, -3.0, true, false, int64(1 << 53),
	[]any{"a", "b"}, []any{"a"}, []any{int64(1), int64(2)}, []any{1.5, int64(2)}, []any{true}, []any{}, []any{"a", int64(1)}, []any{[]any{"a"}},
	map[string]any{"p": "a"}, map[string]any{"p": int64(2), "q": []any{"a", "b"}}, map[string]any{}, map[string]any{"p": []any{"a", int64(1)}}, map[string]any{"p": nil, "q": "a"},
}

// drawNet makes things in the account and remembers them.
func (w world) drawNet(draw func(n int) int, size int) *net {
	w.Helper()
	n := &net{}
	description := func() *string {
		if draw(2) == 0 {
			return nil
		}
		return new([]string{"abc", "[a", "B"}[draw(3)])
	}
	attributes := func(kind registry.Kind) registry.Attributes {
		out := registry.Attributes{}
		for _, name := range []string{"a", "b", "o", "name"} {
			if value := netValues[draw(len(netValues))]; draw(4) > 0 && value != nil && (kind != registry.KindGroup || name != "name") {
				out[name] = value
			}
		}
		return out
	}
	paths := []string{""}
	for i := range size {
		var made registry.Related
		var err error
		switch i % 3 {
		case 0:
			parent := paths[draw(len(paths))]
			made, err = w.CreateGroup(w.Context(), w.scope, registry.NewGroup{Parent: parent, Name: fmt.Sprintf("G%d", i), Description: description(), Attributes: attributes(registry.KindGroup)})
			paths = append(paths, fmt.Sprintf("%s/G%d", parent, i))
		case 1:
			made, err = w.CreateDevice(w.Context(), w.scope, registry.NewTwin{Reference: fmt.Sprintf("Thing%d", i), Description: description(), Attributes: attributes(registry.KindDevice)})
		default:
			made, err = w.CreateAsset(w.Context(), w.scope, registry.NewTwin{
				Reference: fmt.Sprintf("Thing%d", i), Description: description(), Attributes: attributes(registry.KindAsset),
				State: []registry.State{registry.StateActive, registry.StateRetired}[draw(2)],
			})
		}
		if err != nil {
			w.Fatal(err)
		}
		n.things = append(n.things, rule.Thing{Of: made, Template: "open"})
	}
	for range 3 * size {
		e := netEdge{from: draw(size), to: draw(size), name: []string{"r", "s"}[draw(2)]}
		if slices.ContainsFunc(n.edges, func(o netEdge) bool { return o.from == e.from && o.to == e.to && o.name == e.name }) {
			continue
		}
		from, to := n.things[e.from].Of, n.things[e.to].Of
		if _, _, err := w.Relate(w.Context(), w.scope, byID(from), e.name, byID(to)); err != nil {
			w.Fatal(err)
		}
		n.edges = append(n.edges, e)
	}
	w.drawEdges(n, draw)
	// A tag is no membership.
	if _, err := w.Cypher(w.Context(), w.scope, `MATCH (n:Device|Asset)-[r:S]->(:Group) WHERE n.account = $account AND n.keyFold IS NOT NULL SET r.inherits = false`, nil); err != nil {
		w.Fatal(err)
	}
	for i := range n.edges {
		n.edges[i].tag = n.edges[i].name == "s"
	}
	return n
}

// drawEdges makes some devices components and some assets parts of those before
// them, and remembers that, and where groups are.
func (w world) drawEdges(n *net, draw func(n int) int) {
	w.Helper()
	root := must(w.GroupByPath(w.Context(), w.scope, "/"))
	template := must(w.TemplatesByID(w.Context(), w.scope, []registry.ID{root.TemplateID}))[0]
	n.things = append(n.things, rule.Thing{Of: root, Template: template.Name})
	at := map[registry.ID]int{}
	edges := map[string][]any{}
	add := func(name string, from, to int) {
		n.edges = append(n.edges, netEdge{from: from, to: to, name: name})
		edges[name] = append(edges[name], []any{string(n.things[from].Of.NodeID()), string(n.things[to].Of.NodeID())})
	}
	var devices, assets []int
	for i, thing := range n.things {
		at[thing.Of.NodeID()] = i
		switch of := thing.Of.(type) {
		case *registry.Device:
			if len(devices) > 0 && draw(2) == 0 {
				of.ComponentName = new("part")
				add("COMPONENT_OF", i, devices[draw(len(devices))])
			}
			devices = append(devices, i)
		case *registry.Asset:
			if len(assets) > 0 && draw(2) == 0 {
				add("PART_OF", i, assets[draw(len(assets))])
			}
			assets = append(assets, i)
		}
	}
	for i, thing := range n.things {
		if group, ok := thing.Of.(*registry.Group); ok && group.ParentID != "" {
			n.edges = append(n.edges, netEdge{from: i, to: at[group.ParentID], name: "CHILD_OF"})
		}
	}
	for name, ends := range edges {
		text := "UNWIND $ends AS ends MATCH (a:Entity {id: ends[0]}) MATCH (b:Entity {id: ends[1]}) WHERE a.account = $account AND b.account = $account CREATE (a)-[:" + name + " {since: 0}]->(b)"
		if _, err := w.Cypher(w.Context(), w.scope, text, map[string]any{"ends": ends}); err != nil {
			w.Fatal(err)
		}
	}
}

// ruleTexts draws expressions.
type ruleTexts struct{ *rapid.T }

func (t ruleTexts) one(of ...string) string { return rapid.SampledFrom(of).Draw(t.T, "one") }

func (t ruleTexts) condition(depth, collections int) string {
	dot := ""
	if collections > 0 && rapid.IntRange(0, 3).Draw(t.T, "inner") > 0 {
		dot = "."
	}
	kind := rapid.IntRange(0, 9).Draw(t.T, "kind")
	if depth == 0 && kind < 5 {
		kind = 9
	}
	switch {
	case kind == 0:
		return "not (" + t.condition(depth-1, collections) + ")"
	case kind <= 2:
		return "(" + t.condition(depth-1, collections) + t.one(" and ", " or ") + t.condition(depth-1, collections) + ")"
	case kind <= 4 && collections < 3:
		of := dot + t.one("relations.r", "relations.s", "inverse.r", "inverse.s", "groups", "parent", "children", "componentOf", "components", "partOf", "parts")
		if t.one("q", "q", "c") == "c" {
			inner := ""
			if t.one("with", "without") == "with" {
				inner = ", " + t.condition(depth-1, collections+1)
			}
			return "count(" + of + inner + ") " + t.one("==", "!=", "<", "<=", ">", ">=") + " " + t.one("0", "1", "2")
		}
		return t.one("any", "all", "none") + "(" + of + ", " + t.condition(depth-1, collections+1) + ")"
	}
	return t.atom(dot)
}

func (t ruleTexts) atom(dot string) string {
	attribute := func() string {
		return t.one(dot, "") + "attributes." + t.one("a", "a", "b", "o.p", "o.q", "o", "name", "none")
	}
	if dot == "" {
		attribute = func() string { return "attributes." + t.one("a", "a", "b", "o.p", "o.q", "o", "name", "none") }
	}
	equality, order := t.one("==", "!="), t.one("==", "!=", "<", "<=", ">", ">=")
	text := t.one("'a'", "'b'", "'abc'", "'B'", "''", "'['", "'[\"a\"]'")
	scalar := t.one(text, "1", "2", "1.5", "-3", "9007199254740992", "2.0")
	switch rapid.IntRange(0, 15).Draw(t.T, "atom") {
	case 0:
		return attribute() + " " + equality + " " + t.one("nil", "true", "false")
	case 1, 2:
		return attribute() + " " + order + " " + scalar
	case 3:
		return scalar + " " + order + " " + attribute()
	case 4:
		return attribute() + " " + t.one("contains", "startsWith", "endsWith", "not contains") + " " + text
	case 5:
		return attribute() + " " + t.one("in", "not in") + " [" + scalar + ", " + t.one("'a'", "true", "2") + "]"
	case 6:
		return t.one(scalar, "true", attribute()) + " " + t.one("in", "not in") + " " + attribute()
	case 7:
		return attribute() + " " + t.one("==", "!=", "<", "<=", ">", ">=", "contains", "startsWith", "endsWith") + " " + attribute()
	case 8:
		return attribute()
	case 9:
		return dot + t.one("reference", "path", "template") + " " + t.one("==", "!=", "<", ">=", "startsWith", "contains") + " " + t.one("'thing1'", "'THING4'", "'/G0'", "'/g0'", "'OPEN'", "'t'")
	case 10:
		return dot + t.one("reference == 'thing10'", "reference in ['THING1', 'thing2']", "path == nil", "reference != nil", "name == 'G3'", "name == nil", "component", "connected", "connected == nil", "template == .template", "id != nil")
	case 11:
		return dot + t.one("state == 'active'", "state != 'Retired'", "state == nil", "kind == 'device'", "kind != 'GROUP'", "kind in ['asset', 'group']", "kind != nil", "state in ['retired']")
	case 12:
		return dot + t.one("depth > 1", "depth == nil", "depth < 2", "version == 1", "createdAt > '2020-01-01'", "createdAt <= '2020-01-01T00:00:00Z'", "updatedAt != nil")
	case 13:
		return t.one("'/G0'", "'/g0/G3'", "'/G6'") + t.one(" in ", " not in ") + dot + "groups"
	case 14:
		return strings.TrimPrefix(attribute(), ".") + " " + t.one("matches", "not matches") + " " + t.one("'a'", "'^a'", "'^ab.*'", "'b$'", "'^$'", "'.'", "'p|q'", "'^\\\\[.*'", "'1'")
	}
	return dot + t.one("description contains 'b'", "description == nil", "description < 'b'", "description != name", "description == attributes.a")
}

// ruleTime is how long random rules are tried: each is new to the database,
// which takes its time to plan it. HOLON_RULE_TIME gives it more.
var ruleTime = func() time.Duration {
	if given, err := time.ParseDuration(os.Getenv("HOLON_RULE_TIME")); err == nil {
		return given
	}
	return 12 * time.Second
}()

// Every rule is true of the same objects in Go and in Cypher, where it is asked
// for things of a kind, or of any kind.
func TestRulesInGoAndInCypher(t *testing.T) {
	w := newWorld(t)
	var n *net
	asked, truths, until := 0, 0, time.Now().Add(ruleTime)
	rapid.Check(t, func(t *rapid.T) {
		if asked >= 30 && time.Now().After(until) {
			return
		}
		if n == nil {
			n = w.drawNet(func(most int) int { return rapid.IntRange(0, most-1).Draw(t, "net") }, 45)
		}
		kind := rapid.SampledFrom([]registry.Kind{"", registry.KindGroup, registry.KindDevice, registry.KindAsset}).Draw(t, "kind")
		var rules []*rule.Rule
		for range 3 {
			text := ruleTexts{t}.condition(3, 0)
			text = strings.ReplaceAll(text, "template == .template", "template == template")
			r, err := rule.Parse(text)
			if err != nil {
				if strings.Contains(err.Error(), "more than 200 parts") || strings.Contains(err.Error(), "at most 4000") {
					continue
				}
				t.Fatalf("%s: %v", text, err)
			}
			rules = append(rules, r)
		}
		truths += w.checkRules(t, n, kind, rules)
		asked += len(rules)
	})
	t.Logf("%d rules, true %d times", asked, truths)
	if asked < 30 || truths < asked {
		t.Errorf("only %d rules, true %d times", asked, truths)
	}
}

func (w world) checkRules(t *rapid.T, n *net, kind registry.Kind, rules []*rule.Rule) (truths int) {
	label := map[registry.Kind]string{"": "Group|Device|Asset", "GROUP": "Group", "DEVICE": "Device", "ASSET": "Asset"}[kind]
	p, columns := map[string]any{}, []string{}
	for i, r := range rules {
		compiled, err := r.Compile(kind, fmt.Sprintf("r%d_", i))
		if err != nil {
			t.Fatalf("compile %s: %v", r, err)
		}
		maps.Copy(p, compiled.Params)
		w.matchCandidates(t, n, label, compiled, p)
		columns = append(columns, "coalesce("+rule.Text(compiled.Conjuncts)+", false)")
	}
	answers := w.columns(t, n, label, "true", columns, p)
	for i, thing := range n.things {
		answer, asked := answers[string(thing.Of.NodeID())]
		if !asked {
			continue
		}
		for j, r := range rules {
			if want := r.Match(n.object(i)); answer[j] != want {
				t.Fatalf("%s of %+v\nis %v in Go and %v in Cypher: %s", r, thing.Of, want, answer[j], columns[j])
			}
			if answer[j] == true {
				truths++
			}
		}
	}
	return truths
}

// matchCandidates sets the parameters of a rule's regular expressions, as
// searches do: among the candidates that the rest of the rule leaves.
func (w world) matchCandidates(t *rapid.T, n *net, label string, compiled *rule.Predicate, p map[string]any) {
	if len(compiled.Matchers) == 0 {
		return
	}
	columns := make([]string, len(compiled.Matchers))
	for i, m := range compiled.Matchers {
		columns[i], p[m.Param] = m.Value, []string{}
	}
	for id, texts := range w.columns(t, n, label, rule.Text(compiled.Candidates), columns, p) {
		for i, m := range compiled.Matchers {
			if text, isText := texts[i].(string); isText && m.Match(text) {
				p[m.Param] = append(p[m.Param].([]string), id)
			}
		}
	}
}

// columns reads columns of the things of a net that have a label and fulfil a
// condition.
func (w world) columns(t *rapid.T, n *net, label, where string, columns []string, p map[string]any) map[string][]any {
	ids := []string{}
	for _, thing := range n.things {
		ids = append(ids, string(thing.Of.NodeID()))
	}
	p["ids"] = ids
	text := "UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:" + label + " AND " + where + " RETURN collect([n.id, " + strings.Join(columns, ", ") + "]) AS rows"
	got, err := w.Cypher(w.Context(), w.scope, text, p)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	out := map[string][]any{}
	for _, row := range got[0]["rows"].([]any) {
		values := row.([]any)
		out[values[0].(string)] = values[1:]
	}
	return out
}
