package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// maxPastIDs bounds the objects of a sub-tree that a list of the past is made
// of: their order is in no index.
const maxPastIDs = 100_000

// maxPastSteps is how many names of a path are walked in one round trip.
const maxPastSteps = 4

// pastRoot finds the root group, which is always there.
var pastRoot query

var (
	// A path is walked from the root name by name: the names stand with the
	// relationships, and groups may since have moved. Some names at a time, since
	// the planner takes seconds for a walk of many.
	pastSteps = func() (out [maxPastSteps]query) {
		text := "\n\t\tMATCH (g0:Group) WHERE g0.account = $account AND g0.keyFold = '/'"
		pastRoot = named("past.root", text+"\n\t\tRETURN g0.id AS id")
		text = "\n\t\tMATCH (g0:Entity {id: $id}) WHERE g0.account = $account"
		for i := range out {
			text += fmt.Sprintf("\n\t\tMATCH (g%d)<-[r%d:CHILD_OF|WAS_CHILD_OF]-(g%d) WHERE r%d.nameFold = $names[%d] AND %s", i, i, i+1, i, i, heldThen(fmt.Sprint("r", i)))
			out[i] = named(fmt.Sprintf("past.step%d", i+1), fmt.Sprintf("%s\n\t\tRETURN g%d.id AS id", text, i+1))
		}
		return out
	}()

	pastChildren = func() map[bool]query {
		out := map[bool]query{}
		for backward, way := range map[bool]string{false: "", true: "DESC"} {
			out[backward] = named("past.children"+way, `
		UNWIND $ids AS id
		MATCH (g:Entity {id: id})
		WHERE g.account = $account
		RETURN collect({id: id, children: COLLECT {
			MATCH (g)<-[r:CHILD_OF|WAS_CHILD_OF]-(c)
			WHERE `+heldThen("r")+` AND ($key = '' OR r.nameFold `+map[bool]string{false: ">", true: "<"}[backward]+` $key)
			RETURN c.id ORDER BY r.nameFold `+way+` LIMIT $limit
		}, total: COUNT { MATCH (g)<-[r:CHILD_OF|WAS_CHILD_OF]-() WHERE `+heldThen("r")+` }}) AS groups`)
		}
		return out
	}()

	pastAncestors = named("past.ancestors", `
		UNWIND $ids AS id
		MATCH (g:Entity {id: id})
		WHERE g.account = $account
		RETURN collect({id: id, above: [step IN `+pastAbove("g")+` | step.id]}) AS groups`)

	// All groups below one, with the names on the way there.
	pastTree = named("past.tree", `
		MATCH (top:Entity {id: $id})
		WHERE top.account = $account
		MATCH (top) ((above)<-[down:CHILD_OF|WAS_CHILD_OF WHERE `+heldThen("down")+`]-(below)){0,32} (g)
		WITH g, down LIMIT $limit
		RETURN collect([g.id, reduce(path = '', step IN down | path + '/' + step.name)]) AS groups`)

	// The devices and assets in a group's sub-tree: members, and what is part of
	// them.
	pastUnder = named("past.under", `
		MATCH (top:Entity {id: $id})
		WHERE top.account = $account
		MATCH (top) ((above)<-[down:CHILD_OF|WAS_CHILD_OF WHERE `+heldThen("down")+`]-(below)){0,32} (g)
		MATCH (g)<-[r]-(m) ((y)<-[w:COMPONENT_OF|WAS_COMPONENT_OF|PART_OF|WAS_PART_OF WHERE `+heldThen("w")+`]-(x)){0,32} (n)
		WHERE r.inherits IS NULL AND `+heldThen("r")+` AND `+isA("n", "Device", "Asset")+` AND `+isA("m", "Device", "Asset")+` AND `+pastKind("n")+` = $kind
		WITH DISTINCT n LIMIT $limit
		RETURN collect([n.id, n.reference]) AS things`)

	// Members of a group, or of its sub-tree with what is part of them.
	pastMembers = func() map[bool]query {
		out := map[bool]query{}
		for deep, text := range map[bool]string{
			false: "MATCH (top)<-[r]-(n)",
			true: `MATCH (top) ((above)<-[down:CHILD_OF|WAS_CHILD_OF WHERE ` + heldThen("down") + `]-(below)){0,32} (g)
		MATCH (g)<-[r]-(m) ((y)<-[w:COMPONENT_OF|WAS_COMPONENT_OF|PART_OF|WAS_PART_OF WHERE ` + heldThen("w") + `]-(x)){0,32} (n)`,
		} {
			member, name := "n", "past.members"
			if deep {
				member, name = "m", "past.deepMembers"
			}
			out[deep] = named(name, `
		MATCH (top:Entity {id: $id})
		WHERE top.account = $account
		`+text+`
		WHERE `+isA(member, "Device", "Asset")+` AND `+heldThen("r")+` AND CASE WHEN $relation IS NULL THEN r.inherits IS NULL ELSE `+relationName+` = $relation END
			AND `+isA("n", "Device", "Asset")+` AND ($kind IS NULL OR `+pastKind("n")+` = $kind)
		WITH DISTINCT n LIMIT $limit
		RETURN collect([n.id, CASE `+pastKind("n")+` WHEN 'DEVICE' THEN '1/' ELSE '2/' END + n.reference]) AS things`)
		}
		return out
	}()

	// The devices that were linked with assets.
	pastLinked = named("past.linked", `
		UNWIND $ids AS id
		MATCH (a:Entity {id: id})
		WHERE a.account = $account
		MATCH (a)<-[l:LINKED_TO]-(n)
		WHERE `+heldThen("l")+`
		WITH DISTINCT n LIMIT $limit
		RETURN collect([n.id, n.reference]) AS things`)
)

// pastGroupID returns the id of the group that had a path.
func (s *Store) pastGroupID(ctx context.Context, scope registry.Scope, path string) (registry.ID, error) {
	var names []string
	if clean := cleanPath(path); clean != "/" {
		names = strings.Split(strings.TrimPrefix(Fold(clean), "/"), "/")
	}
	if len(names) > registry.MaxGroupDepth {
		return "", registry.NotFound("group", path)
	}
	id := registry.ID("")
	for q, step := pastRoot, 0; ; {
		p, err := s.look(scope, params{"id": string(id), "names": names[:step]})
		if err != nil {
			return "", err
		}
		found, ok, err := one(ctx, s.reading(scope), q, p, func(f fields) registry.ID { return f.id("id") })
		if err != nil {
			return "", fmt.Errorf("group of the past %s: %w", path, err)
		}
		if !ok {
			return "", registry.NotFound("group", path)
		}
		id, names = found, names[step:]
		if len(names) == 0 {
			return id, nil
		}
		step = min(len(names), maxPastSteps)
		q = pastSteps[step-1]
	}
}

func (s *Store) pastGroup(ctx context.Context, scope registry.Scope, path string) (*registry.Group, error) {
	id, err := s.pastGroupID(ctx, scope, path)
	if err != nil {
		return nil, err
	}
	groups, err := pastOf[*registry.Group](ctx, s, scope, []registry.ID{id})
	if err != nil {
		return nil, err
	}
	if groups[0] == nil {
		return nil, registry.NotFound("group", path)
	}
	return groups[0], nil
}

// pastChildren returns a page of the children of each group.
func (s *Store) pastChildren(ctx context.Context, scope registry.Scope, ids []registry.ID, page registry.PageRequest) ([]registry.Page[*registry.Group], error) {
	key := Fold(page.Key)
	p, err := s.look(scope, params{"ids": texts(ids), "key": key[strings.LastIndexByte(key, '/')+1:], "limit": page.Size + 1})
	if err != nil {
		return nil, err
	}
	var all []registry.ID
	children := map[registry.ID][]registry.ID{}
	_, _, err = one(ctx, s.reading(scope), pastChildren[page.Backward], p, func(f fields) struct{} {
		for _, group := range f.maps("groups") {
			of := group.ids("children")
			children[group.id("id")] = of
			all = append(all, of...)
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("children of the past: %w", err)
	}
	known, err := s.past(ctx, scope, all)
	if err != nil {
		return nil, err
	}
	pages := make([]registry.Page[*registry.Group], len(ids))
	for i, id := range ids {
		pages[i] = cut(pick[*registry.Group](known, children[id]), page)
	}
	return pages, nil
}

// childPlaces are the children of a group, by path.
func (p *pastSearch) childPlaces(ctx context.Context, group registry.ID) ([]keyedID, error) {
	pages, err := p.pastChildren(ctx, p.scope, []registry.ID{group}, registry.PageRequest{Size: maxPastLooked})
	if err != nil {
		return nil, err
	}
	places := make([]keyedID, len(pages[0].Items))
	for i, child := range pages[0].Items {
		places[i] = keyedID{child.ID, Fold(child.Path)}
	}
	return places, nil
}

func (s *Store) countPastChildren(ctx context.Context, scope registry.Scope, group registry.ID) (int, error) {
	p, err := s.look(scope, params{"ids": []string{string(group)}, "key": "", "limit": 0})
	if err != nil {
		return 0, err
	}
	n, _, err := one(ctx, s.reading(scope), pastChildren[false], p, func(f fields) int {
		total := 0
		for _, group := range f.maps("groups") {
			total += group.integer("total")
		}
		return total
	})
	return n, err
}

// pick takes objects in the order of ids and leaves out those that are not
// there.
func pick[T registry.Node](known map[registry.ID]registry.Node, ids []registry.ID) []T {
	out := make([]T, 0, len(ids))
	for _, id := range ids {
		if typed, ok := known[id].(T); ok {
			out = append(out, typed)
		}
	}
	return out
}

func (s *Store) pastAncestors(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]*registry.Group, error) {
	p, err := s.look(scope, params{"ids": texts(ids)})
	if err != nil {
		return nil, err
	}
	var all []registry.ID
	above := map[registry.ID][]registry.ID{}
	_, _, err = one(ctx, s.reading(scope), pastAncestors, p, func(f fields) struct{} {
		for _, group := range f.maps("groups") {
			above[group.id("id")] = group.ids("above")
			all = append(all, group.ids("above")...)
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("ancestors of the past: %w", err)
	}
	slices.Sort(all)
	known, err := s.past(ctx, scope, slices.Compact(all))
	if err != nil {
		return nil, err
	}
	out := make([][]*registry.Group, len(ids))
	for i, id := range ids {
		out[i] = pick[*registry.Group](known, above[id])
	}
	return out, nil
}

// keyedID is an object of the past by its id and the key that orders it.
type keyedID struct {
	id  registry.ID
	key string
}

// pastPlaces runs a query that returns ids and keys, in the order of the folded
// keys. LIMIT_EXCEEDED if there are too many.
func (s *Store) pastPlaces(ctx context.Context, scope registry.Scope, q query, column, prefix string, p params) ([]keyedID, error) {
	p["limit"] = maxPastIDs + 1
	p, err := s.look(scope, p)
	if err != nil {
		return nil, err
	}
	places, _, err := one(ctx, s.reading(scope), q, p, func(f fields) []keyedID {
		rows := f.list(column)
		out := make([]keyedID, 0, len(rows))
		for _, row := range rows {
			pair, ok := row.([]any)
			if !ok || len(pair) != 2 {
				f.failed("%s holds a %T, not a pair", column, row)
				return nil
			}
			id, isID := pair[0].(string)
			key, isKey := pair[1].(string)
			if !isID || !isKey {
				f.failed("%s holds %v", column, pair)
				return nil
			}
			out = append(out, keyedID{registry.ID(id), Fold(prefix + key)})
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.name, err)
	}
	if len(places) > maxPastIDs {
		return nil, registry.LimitExceeded("more than %d objects were below this group: narrow the question", maxPastIDs)
	}
	slices.SortFunc(places, func(a, b keyedID) int { return strings.Compare(a.key, b.key) })
	return places, nil
}
