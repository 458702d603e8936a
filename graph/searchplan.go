package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// paramPrefix begins the names of a rule's parameters, for each kind.
var paramPrefix = map[registry.Kind]string{registry.KindGroup: "wg", registry.KindDevice: "wd", registry.KindAsset: "wa"}

// planSearch turns a search into Cypher. Regular expressions are matched here,
// and walks that would be too long refused, so it may ask the database.
func (s *Store) planSearch(ctx context.Context, r runner, scope registry.Scope, search registry.Search) (*searchPlan, error) {
	var where *rule.Rule
	if search.Where != "" {
		var err error
		if where, err = rule.Parse(search.Where); err != nil {
			return nil, err
		}
	}
	return s.planRule(ctx, r, scope, search, where, nil)
}

// planRule is planSearch for a rule that was parsed already. With the newest
// values of the objects that the search is narrowed to, the rule may ask for
// those.
func (s *Store) planRule(ctx context.Context, r runner, scope registry.Scope, search registry.Search, where *rule.Rule, live map[string]any) (*searchPlan, error) {
	plan := &searchPlan{params: params{}}
	if live != nil {
		plan.params[rule.LiveParam] = live
	}
	if err := plan.orderBy(search, false); err != nil {
		return nil, err
	}
	if err := plan.narrow(scope, search); err != nil {
		return nil, err
	}
	var walks []string
	if len(searchedKinds(search)) == 0 {
		return nil, registry.InvalidField("kind", "enum", "members are devices and assets: for groups ask for children")
	}
	for _, kind := range searchedKinds(search) {
		p := partPlanner{store: s, runner: r, scope: scope, search: search, kind: kind, plan: plan, live: live != nil}
		part, walk, err := p.part(ctx, where)
		if err != nil {
			return nil, err
		}
		plan.parts = append(plan.parts, part)
		if walk != "" {
			walks = append(walks, walk)
		}
	}
	if len(walks) > 0 {
		if err := checkWalks(ctx, r, walks, plan.params, search); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// searchedKinds are the kinds of a search, in order, each once.
func searchedKinds(search registry.Search) []registry.Kind {
	var out []registry.Kind
	for _, kind := range registry.Kinds {
		if (len(search.Kinds) == 0 || slices.Contains(search.Kinds, kind)) && (search.Members == nil || search.Members.Children == (kind == registry.KindGroup)) {
			out = append(out, kind)
		}
	}
	return out
}

func (p *searchPlan) orderBy(search registry.Search, past bool) error {
	p.sum = orderSum(search, past)
	if len(search.OrderBy) > registry.MaxOrderBy {
		return registry.InvalidField("orderBy", "maxItems", "a list is ordered by at most %d fields", registry.MaxOrderBy)
	}
	for i, by := range search.OrderBy {
		order, err := orderFor(i, by)
		if err != nil {
			return err
		}
		p.order = append(p.order, order)
	}
	if search.Text != "" && len(p.order) == 0 {
		p.scored = true
		p.order = append(p.order, searchOrder{value: "score", rank: fmt.Sprint(rankNumber), descending: true})
	}
	return nil
}

// narrow sets the parameters of what narrows a search beside its rule.
func (p *searchPlan) narrow(scope registry.Scope, search registry.Search) error {
	if search.Under != "" {
		under := Fold(cleanPath(search.Under))
		p.params["under"], p.params["below"] = under, under+"/"
	} else if search.IncludeSelf || search.IncludeLinked {
		return registry.InvalidField("under", "required", "includeSelf and includeLinked go with under")
	}
	templates := make([]string, len(search.Templates))
	for i, template := range search.Templates {
		templates[i] = Fold(template)
	}
	if len(templates) == 1 {
		p.params["template"] = templates[0]
	}
	p.params["templates"], p.params["state"] = templates, string(search.State)
	if search.IDs != nil {
		p.params["ids"] = texts(search.IDs)
	}
	if search.Members != nil {
		p.params["members"] = string(search.Members.Group)
	}
	if search.Text != "" {
		words, err := luceneQuery(scope.Account, search.Text)
		if err != nil {
			return err
		}
		p.params["words"] = words
	}
	return nil
}

// partPlanner plans a search for things of one kind.
type partPlanner struct {
	store  *Store
	runner runner
	scope  registry.Scope
	search registry.Search
	kind   registry.Kind
	plan   *searchPlan
	live   bool
}

// part finds a start and what has to hold beside. The walk is a text that is to
// be counted, if there is no start.
func (p partPlanner) part(ctx context.Context, where *rule.Rule) (part searchPart, walk string, err error) {
	if where == nil {
		return p.from(ctx, nil)
	}
	compile := where.Compile
	if p.live {
		compile = where.CompileLive
	}
	compiled, err := compile(p.kind, paramPrefix[p.kind])
	if err != nil {
		return part, "", err
	}
	maps.Copy(p.plan.params, compiled.Params)
	if needsIndexes(compiled.Conjuncts) || needsIndexes(compiled.Candidates) {
		if err := p.store.indexes.refresh(ctx, p.store); err != nil {
			return part, "", err
		}
	}
	if len(compiled.Matchers) > 0 {
		if err := p.matchTexts(ctx, compiled); err != nil {
			return part, "", err
		}
	}
	return p.from(ctx, compiled.Conjuncts)
}

// from writes the match of a kind: it begins with the best start there is.
func (p partPlanner) from(ctx context.Context, conjuncts []rule.Conjunct) (part searchPart, walk string, err error) {
	start, rival := p.best(conjuncts)
	if rival != nil {
		if start, err = p.smaller(ctx, start, *rival); err != nil {
			return part, "", err
		}
	}
	conditions := p.conditions()
	for _, c := range conjuncts {
		conditions = append(conditions, c.Text)
	}
	part.kind = p.kind
	part.match, part.distinct = p.begin(start)
	if p.search.Under != "" && start != startUnder {
		if under := p.underCondition(); under != "" {
			conditions = append(conditions, under)
		}
	}
	if p.search.Members != nil && start != startMembers {
		conditions = append(conditions, p.memberCondition())
	}
	if start == startWalk {
		part.indexed = true
		if len(p.search.Templates) == 1 {
			part.prefix = "n.templateFold"
		}
		if len(conjuncts) > 0 || p.search.State != "" || len(p.search.OrderBy) > 0 || len(p.search.Templates) > 1 {
			walk = part.match
		}
	}
	for _, condition := range conditions {
		part.match += " AND " + condition
	}
	return part, walk, nil
}

// conditions are those beside the rule.
func (p partPlanner) conditions() []string {
	var out []string
	switch {
	case len(p.search.Templates) == 1:
		out = append(out, "n.templateFold = $template")
	case len(p.search.Templates) > 1:
		out = append(out, "n.templateFold IN $templates")
	}
	if p.search.State != "" {
		out = append(out, "n.state = $state")
	}
	return out
}

// Ways to begin that are no conjunct's.
const (
	startUnder   = "under"
	startMembers = "members"
	startText    = "text"
	startWalk    = "walk"
)

// best chooses how to begin: "index i" and "relation i" stand for conjuncts by
// what they are, see begin. If that is the index of an attribute and the search
// could begin at a sub-tree as well, the conjunct is returned: see smaller.
func (p partPlanner) best(conjuncts []rule.Conjunct) (start string, rival *rule.Conjunct) {
	switch {
	case p.search.IDs != nil:
		return "ids ids", nil
	case p.search.Text != "":
		return startText, nil
	}
	chosen, value := startWalk, 0
	var by *rule.Conjunct
	offer := func(start string, worth int, c *rule.Conjunct) {
		if worth > value {
			chosen, value, by = start, worth, c
		}
	}
	if p.search.Members != nil {
		offer(startMembers, 5, nil)
	}
	for i := range conjuncts {
		c := &conjuncts[i]
		key := c.Start.Property == "keyFold"
		indexed := c.Start.Property != "templateFold" && (key || p.store.indexes.online(p.kind, c.Start.Property))
		switch {
		case c.Start.Kind == rule.StartIDs:
			offer("ids "+c.Start.Param, 9, nil)
		case c.Start.Kind == rule.StartEqual && key:
			offer("key", 8, nil)
		case c.Start.Kind == rule.StartEqual && indexed:
			offer("index "+c.Start.Property, 6, c)
		case c.Start.Kind == rule.StartRange && key:
			offer("key", 2, nil)
		case c.Start.Kind == rule.StartRange && indexed:
			offer("index "+c.Start.Property, 3, c)
		case c.Start.Kind == rule.StartRelation:
			offer("relation "+c.Start.Match, 1, nil)
		}
	}
	if p.search.Under == "" || p.plan.params["under"] == "/" {
		return chosen, nil
	}
	if by == nil {
		offer(startUnder, 4, nil)
	}
	return chosen, by
}

// maxSized bounds what is counted to choose a start: a count is cheap beside
// looking at what was counted.
const maxSized = 50_000

// smaller chooses between the index of an attribute and the sub-tree, whichever
// leads to fewer objects. How many members the groups of a sub-tree have is
// known without looking at them.
func (p partPlanner) smaller(ctx context.Context, index string, c rule.Conjunct) (string, error) {
	seek, _ := p.begin(index)
	members := "sum(COUNT { (g)<--() })"
	if p.kind == registry.KindGroup {
		members = "count(g)"
	}
	text := fmt.Sprintf(`CALL () { %s AND %s WITH n LIMIT %d RETURN count(n) AS indexed }
		CALL () { MATCH (g:Group) WHERE g.account = $account AND %s WITH g LIMIT %d RETURN %s AS members }
		RETURN indexed, members`, seek, c.Text, maxSized, inSubTree, maxSized, members)
	start, _, err := one(ctx, p.runner, query{"search.sizes", text}, p.plan.params, func(f fields) string {
		if f.integer("indexed") <= f.integer("members") {
			return index
		}
		return startUnder
	})
	if err != nil {
		return "", fmt.Errorf("sizes of a search: %w", err)
	}
	return start, nil
}

// begin writes a start. The text ends in a WHERE.
func (p partPlanner) begin(start string) (match string, distinct bool) {
	name := label(p.kind)
	way, of, _ := strings.Cut(start, " ")
	switch way {
	case startText:
		return "CALL db.index.fulltext.queryNodes('" + textIndex + "', $words, {limit: " + fmt.Sprint(registry.MaxCandidates) + "}) YIELD node AS n, score WHERE n:" + name + " AND n.account = $account", false
	case startUnder:
		return p.fromUnder()
	case startMembers:
		return p.fromMembers()
	case "ids":
		return "UNWIND $" + of + " AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:" + name, false
	case "index":
		return "MATCH (n:" + name + ") USING INDEX n:" + name + "(account, `" + of + "`) WHERE n.account = $account", false
	case "relation":
		return strings.ReplaceAll(of, "LABEL", name), true
	}
	match = "MATCH (n:" + name + ") WHERE n.account = $account AND n.keyFold IS NOT NULL"
	return match, false
}

// checkWalks refuses walks through too many objects.
func checkWalks(ctx context.Context, r runner, walks []string, p params, search registry.Search) error {
	parts, names := make([]string, len(walks)), make([]string, len(walks))
	for i, walk := range walks {
		names[i] = fmt.Sprintf("c%d", i)
		if len(search.Templates) == 1 {
			walk += " AND n.templateFold = $template"
		}
		parts[i] = fmt.Sprintf("CALL () { %s WITH n LIMIT %d RETURN count(n) AS %s }", walk, registry.MaxWalk+1, names[i])
	}
	q := query{"search.walk", strings.Join(parts, "\n") + "\nRETURN " + strings.Join(names, " + ") + " AS n, " + "[" + strings.Join(names, ", ") + "] AS each"}
	tooLong, _, err := one(ctx, r, q, p, func(f fields) bool {
		return slices.ContainsFunc(f.list("each"), func(n any) bool { return n == int64(registry.MaxWalk+1) })
	})
	if err != nil {
		return fmt.Errorf("count what a search walks through: %w", err)
	}
	if !tooLong {
		return nil
	}
	field := "where"
	if search.Where == "" {
		field = "orderBy"
	}
	return registry.InvalidField(field, "walk", "this would walk through more than %d objects: declare an attribute that it compares searched in its template, or narrow it by under, a template, a key or a relation to an object that is named by its key", registry.MaxWalk)
}
