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
	Groups   bool
	Policies bool
}

// TwinWith is a twin with what was included. The template is always there.
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

// twinGroups are the groups of the twin n, with the relations that lead there.
var twinGroups = `COLLECT {
			MATCH (n)-[r]->(o:Group)
			WHERE r.inherits IS NULL
			RETURN {group: ` + thing("o") + `, relation: toLower(type(r))} ORDER BY o.keyFold, type(r)
		}`

var (
	twinPlain = labelled("byReference", `
		MATCH (n:LABEL)
		WHERE n.account = $account AND n.keyFold = $key
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN {thing: `+thing("n")+`, template: properties(t)} AS twin`)

	twinAndGroups = labelled("byReferenceWithGroups", `
		MATCH (n:LABEL)
		WHERE n.account = $account AND n.keyFold = $key
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN {thing: `+thing("n")+`, template: properties(t), members: `+twinGroups+`} AS twin`)

	twinAndPolicies = labelled("byReferenceWithPolicies", `
		CALL () {
			MATCH (n:LABEL)
			WHERE n.account = $account AND n.keyFold = $key
			MATCH (n)-[:INSTANCE_OF]->(t:Template)
			RETURN collect({id: n.id, thing: `+thing("n")+`, template: properties(t), members: `+twinGroups+`, groups: `+memberships+`}) AS things
		}`+strings.ReplaceAll(inheritance, "POLICY", wholePolicy))
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
	p := params{"key": Fold(reference), "type": nil}
	if !include.Policies {
		q := twinPlain[kind]
		if include.Groups {
			q = twinAndGroups[kind]
		}
		twin, ok, err := one(ctx, s.reading(scope), q, p, func(f fields) TwinWith { return s.twinWith(f.nested("twin"), scope, include) })
		return found(&twin, ok, err, noun(kind), reference)
	}
	var twin TwinWith
	decodePolicies := inheritedOf(policyFrom)
	ok, _, err := one(ctx, s.reading(scope), twinAndPolicies[kind], p, func(f fields) bool {
		in := decodePolicies(f)
		if len(in.things) == 0 {
			return false
		}
		twin = s.twinWith(in.things[0], scope, include)
		if twin.Twin != nil {
			twin.Policies = in.of(twin.Twin.NodeID())
		}
		return true
	})
	return found(&twin, ok, err, noun(kind), reference)
}

func (s *Store) twinWith(f fields, scope registry.Scope, include Include) TwinWith {
	var out TwinWith
	out.Twin, _ = thingOf(f.nested("thing")).(registry.Twin)
	out.Template = s.template(f.nested("template"), scope.Account).Template
	if !include.Groups {
		return out
	}
	out.Memberships, out.Groups = []Membership{}, []*registry.Group{}
	for _, member := range f.maps("members") {
		group, ok := thingOf(member.nested("group")).(*registry.Group)
		if !ok {
			continue
		}
		out.Memberships = append(out.Memberships, Membership{group.ID, member.text("relation")})
		if n := len(out.Groups); n == 0 || out.Groups[n-1].ID != group.ID {
			out.Groups = append(out.Groups, group)
		}
	}
	return out
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

// groupTrees are the queries for trees of 0 to 3 levels of children.
var groupTrees = func() (out [maxTreeLevels + 1]query) {
	for levels := range out {
		out[levels] = named(fmt.Sprintf("group.tree%d", levels), `
		MATCH (g0:Group)
		WHERE g0.account = $account AND g0.keyFold = $key
		RETURN `+treeText(0, levels)+` AS tree`)
	}
	return out
}()

func treeText(level, levels int) string {
	this, next := fmt.Sprintf("g%d", level), fmt.Sprintf("g%d", level+1)
	if level == levels {
		return "{thing: " + thing(this) + ", children: []}"
	}
	return fmt.Sprintf("{thing: %s, children: COLLECT { MATCH (%s)<-[:CHILD_OF]-(%s:Group) WITH %s ORDER BY %s.keyFold LIMIT $size%d + 1 RETURN %s }}",
		thing(this), this, next, next, next, level, treeText(level+1, levels))
}

// GroupTree returns a group and its first sizes[0] children, by path, the first
// sizes[1] children of each of these, and so on, in one round trip: at most
// three levels.
func (s *Store) GroupTree(ctx context.Context, scope registry.Scope, path string, sizes []int) (*GroupTree, error) {
	if len(sizes) > maxTreeLevels {
		return nil, registry.LimitExceeded("a tree has at most %d levels", maxTreeLevels)
	}
	p := params{"key": Fold(cleanPath(path))}
	for i, size := range sizes {
		p[fmt.Sprintf("size%d", i)] = size
	}
	tree, ok, err := one(ctx, s.reading(scope), groupTrees[len(sizes)], p, func(f fields) GroupTree { return *treeOf(f.nested("tree"), sizes) })
	return found(&tree, ok, err, "group", path)
}

func treeOf(f fields, sizes []int) *GroupTree {
	tree := &GroupTree{Group: typedThing[*registry.Group](f)}
	children := f.maps("children")
	if len(sizes) == 0 {
		return tree
	}
	if len(children) > sizes[0] {
		children, tree.HasNext = children[:sizes[0]], true
	}
	for _, child := range children {
		tree.Children = append(tree.Children, treeOf(child, sizes[1:]))
	}
	return tree
}
