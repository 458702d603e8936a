package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Include says what a request will need of a twin beside the twin itself, so
// that it comes in the same round trip.
type Include struct {
	Groups bool
	// Brief groups have no more than id, name, path, depth and description: they
	// take a fraction of the time.
	Brief    bool
	Policies bool
}

// TwinWith is a twin with what was included. The template is always there; it
// takes another round trip the first time that this process meets it.
type TwinWith struct {
	Twin     registry.Twin
	Template *registry.Template
	// Memberships and Groups are nil unless groups were included; Groups holds
	// each group once, by path.
	Memberships []Membership
	Groups      []*registry.Group
	// Policies are nil unless included; most specific first.
	Policies []*registry.Policy
}

// twinMembers are the groups of the twin n, with the relations that lead there.
func twinMembers(group string) string {
	return `COLLECT {
			MATCH (n)-[r:!WAS_RELATED]->(o:Group)
			WHERE r.inherits IS NULL
			RETURN {group: ` + group + `, relation: toLower(type(r))} ORDER BY o.keyFold, type(r)
		}`
}

// brief is the expression that returns a brief group in the variable v: a list,
// since maps take longer.
func brief(v string) string {
	return strings.ReplaceAll("[NODE.id, NODE.path, NODE.depth, NODE.description]", "NODE", v)
}

func twinByKey(name, members string) map[registry.Kind]query {
	return labelled(name, `
		MATCH (n:LABEL)
		WHERE n.account = $account AND n.keyFold = $key
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN {node: properties(n), template: t.id, members: `+members+`} AS twin`)
}

var (
	twinPlain          = twinByKey("byReference", "[]")
	twinAndGroups      = twinByKey("byReferenceWithGroups", twinMembers(thing("o")))
	twinAndBriefGroups = twinByKey("byReferenceWithBriefGroups", twinMembers(brief("o")))

	twinAndPolicies = labelled("byReferenceWithPolicies", glance+`
		CALL () {
			MATCH (n:LABEL)
			WHERE n.account = $account AND n.keyFold = $key
			MATCH (n)-[:INSTANCE_OF]->(t:Template)
			RETURN collect({node: properties(n), template: t.id, members: `+twinMembers(thing("o"))+`, groups: `+memberships+`}) AS twins
		}
		RETURN structure, news, twins`)
)

// DeviceByReference returns a device, and what is to be included, in one round
// trip.
func (s *Store) DeviceByReference(ctx context.Context, scope registry.Scope, reference string, include Include) (*TwinWith, error) {
	return s.twinByReference(ctx, scope, registry.KindDevice, reference, include)
}

// AssetByReference returns an asset, and what is to be included, in one round
// trip.
func (s *Store) AssetByReference(ctx context.Context, scope registry.Scope, reference string, include Include) (*TwinWith, error) {
	return s.twinByReference(ctx, scope, registry.KindAsset, reference, include)
}

func (s *Store) twinByReference(ctx context.Context, scope registry.Scope, kind registry.Kind, reference string, include Include) (*TwinWith, error) {
	if scope.AsOf != nil {
		return s.pastTwin(ctx, scope, kind, reference)
	}
	twin, template, ok, err := s.readTwin(ctx, scope, kind, reference, include)
	if err == nil && ok {
		twin.Template, err = s.templateByID(ctx, scope, template)
	}
	return found(&twin, ok, err, noun(kind), reference)
}

// pastTwin reads a twin of the past; nothing else comes in the same round trip.
func (s *Store) pastTwin(ctx context.Context, scope registry.Scope, kind registry.Kind, reference string) (*TwinWith, error) {
	twin, err := pastByReference[registry.Twin](ctx, s, scope, registry.ObjectKind(kind), reference)
	if err != nil {
		return nil, err
	}
	template, err := s.templateByID(ctx, scope, twin.TwinTemplate())
	return &TwinWith{Twin: twin, Template: template}, err
}

// readTwin reads a twin but for its template, of which it tells the id.
func (s *Store) readTwin(ctx context.Context, scope registry.Scope, kind registry.Kind, reference string, include Include) (twin TwinWith, template registry.ID, ok bool, err error) {
	p := params{"key": Fold(reference)}
	if !include.Policies {
		q := twinPlain[kind]
		switch {
		case include.Groups && include.Brief:
			q = twinAndBriefGroups[kind]
		case include.Groups:
			q = twinAndGroups[kind]
		}
		twin, ok, err = one(ctx, s.reading(scope), q, p, func(f fields) TwinWith {
			f = f.nested("twin")
			template = f.id("template")
			return twinWith(f, kind, include)
		})
		return twin, template, ok, err
	}
	return s.readTwinOnHierarchy(ctx, scope, kind, p, include)
}

// readTwinOnHierarchy reads a twin with its policies.
func (s *Store) readTwinOnHierarchy(ctx context.Context, scope registry.Scope, kind registry.Kind, p params, include Include) (twin TwinWith, template registry.ID, ok bool, err error) {
	include.Brief = false
	type answer struct {
		twin     TwinWith
		template registry.ID
		groups   []registry.ID
	}
	h, twins, _, err := onHierarchy(ctx, s, scope, twinAndPolicies[kind], p, func(f fields) []answer {
		var out []answer
		for _, f := range f.maps("twins") {
			out = append(out, answer{twinWith(f, kind, include), f.id("template"), f.ids("groups")})
		}
		return out
	}, func(twins []answer) []registry.ID {
		if len(twins) == 0 {
			return nil
		}
		return twins[0].groups
	})
	if err != nil || len(twins) == 0 {
		return TwinWith{}, "", false, err
	}
	got := twins[0]
	got.twin.Policies = chosen(h.inherited(got.groups, nil), func(r *ranked) *registry.Policy { return r.policy })
	return got.twin, got.template, true, nil
}

// templateByID returns a template that is there, mostly from memory.
func (s *Store) templateByID(ctx context.Context, scope registry.Scope, id registry.ID) (*registry.Template, error) {
	templates, err := s.TemplatesByID(ctx, scope, []registry.ID{id})
	if err != nil {
		return nil, err
	}
	if templates[0] == nil {
		return nil, registry.NotFound("template", string(id))
	}
	return templates[0], nil
}

func twinWith(f fields, kind registry.Kind, include Include) TwinWith {
	var out TwinWith
	out.Twin, _ = twinOf(kind, f.nested("node"), f.id("template")).(registry.Twin)
	if !include.Groups {
		return out
	}
	out.Memberships, out.Groups = []Membership{}, []*registry.Group{}
	for _, member := range f.maps("members") {
		var group *registry.Group
		if include.Brief {
			group = briefGroup(member, member.list("group"), "")
		} else {
			group, _ = thingOf(member.nested("group")).(*registry.Group)
		}
		if group == nil {
			continue
		}
		out.Memberships = append(out.Memberships, Membership{group.ID, member.text("relation")})
		if n := len(out.Groups); n == 0 || out.Groups[n-1].ID != group.ID {
			out.Groups = append(out.Groups, group)
		}
	}
	return out
}

// briefGroup reads what the expression brief returned.
func briefGroup(f fields, row []any, parent registry.ID) *registry.Group {
	if len(row) < 4 {
		f.failed("%s: a brief group of %d values", f.path, len(row))
		return nil
	}
	id, isID := row[0].(string)
	path, isPath := row[1].(string)
	depth, isDepth := row[2].(int64)
	if !isID || !isPath || !isDepth {
		f.failed("%s: %v is no brief group", f.path, row)
		return nil
	}
	group := &registry.Group{Object: registry.Object{ID: registry.ID(id)}, Path: path, Depth: int(depth), Name: path[strings.LastIndexByte(path, '/')+1:], ParentID: parent}
	if description, ok := row[3].(string); ok {
		group.Description = &description
	}
	return group
}

// GroupTree is a group with the first of its children, and so on.
type GroupTree struct {
	Group    *registry.Group
	Children []*GroupTree
	// HasNext says that there are more children.
	HasNext bool
}

// maxTreeLevels is how many levels of children GroupTree reads.
const maxTreeLevels = 3

// groupTrees are the queries for trees of 0 to 3 levels of children, and those
// for brief ones.
var (
	groupTrees      = treeQueries("group.tree", func(v, children string) string { return "{thing: " + thing(v) + ", children: " + children + "}" })
	briefGroupTrees = treeQueries("group.briefTree", func(v, children string) string { return "[" + children + ", " + brief(v)[1:] })
)

func treeQueries(name string, item func(v, children string) string) (out [maxTreeLevels + 1]query) {
	for levels := range out {
		out[levels] = named(fmt.Sprintf("%s%d", name, levels), `
		MATCH (g0:Group)
		WHERE g0.account = $account AND g0.keyFold = $key
		RETURN `+treeText(0, levels, item)+` AS tree`)
	}
	return out
}

func treeText(level, levels int, item func(v, children string) string) string {
	this, next := fmt.Sprintf("g%d", level), fmt.Sprintf("g%d", level+1)
	if level == levels {
		return item(this, "[]")
	}
	return item(this, fmt.Sprintf("COLLECT { MATCH (%s)<-[:CHILD_OF]-(%s:Group) WITH %s ORDER BY %s.keyFold LIMIT $size%d + 1 RETURN %s }",
		this, next, next, next, level, treeText(level+1, levels, item)))
}

// GroupTree returns a group and its first sizes[0] children, by path, the first
// sizes[1] children of each of these, and so on, in one round trip: at most
// three levels. For brief groups see Include.
func (s *Store) GroupTree(ctx context.Context, scope registry.Scope, path string, sizes []int, brief bool) (*GroupTree, error) {
	if len(sizes) > maxTreeLevels {
		return nil, registry.LimitExceeded("a tree has at most %d levels", maxTreeLevels)
	}
	if scope.AsOf != nil {
		group, err := s.pastGroup(ctx, scope, path)
		if err != nil {
			return nil, err
		}
		return &GroupTree{Group: group}, nil
	}
	p := params{"key": Fold(cleanPath(path))}
	for i, size := range sizes {
		p[fmt.Sprintf("size%d", i)] = size
	}
	q, decode := groupTrees[len(sizes)], func(f fields) *GroupTree { return treeOf(f.nested("tree"), sizes) }
	if brief {
		q, decode = briefGroupTrees[len(sizes)], func(f fields) *GroupTree { return briefTreeOf(f, f.list("tree"), "", sizes) }
	}
	tree, ok, err := one(ctx, s.reading(scope), q, p, func(f fields) GroupTree {
		if tree := decode(f); tree != nil {
			return *tree
		}
		return GroupTree{}
	})
	return found(&tree, ok, err, "group", path)
}

func treeOf(f fields, sizes []int) *GroupTree {
	tree := &GroupTree{Group: typedThing[*registry.Group](f)}
	if len(sizes) == 0 {
		return tree
	}
	var children []fields
	children, tree.HasNext = firstOf(f.maps("children"), sizes[0])
	for _, child := range children {
		tree.Children = append(tree.Children, treeOf(child, sizes[1:]))
	}
	return tree
}

// briefTreeOf reads a list of a group's children and the brief group.
func briefTreeOf(f fields, row []any, parent registry.ID, sizes []int) *GroupTree {
	if len(row) == 0 {
		f.failed("tree is empty")
		return nil
	}
	tree := &GroupTree{Group: briefGroup(f, row[1:], parent)}
	if tree.Group == nil || len(sizes) == 0 {
		return tree
	}
	children, ok := row[0].([]any)
	if !ok {
		f.failed("children are a %T, not a list", row[0])
		return tree
	}
	children, tree.HasNext = firstOf(children, sizes[0])
	for _, child := range children {
		row, _ := child.([]any)
		tree.Children = append(tree.Children, briefTreeOf(f, row, tree.Group.ID, sizes[1:]))
	}
	return tree
}

// firstOf cuts off the item that was read to tell whether there are more.
func firstOf[T any](items []T, size int) ([]T, bool) {
	if len(items) > size {
		return items[:size], true
	}
	return items, false
}
