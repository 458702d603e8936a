package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// MemberFilter narrows the members of a group.
type MemberFilter struct {
	// Kind is DEVICE or ASSET, nil for both.
	Kind *registry.Kind
	// Relation is the name of the relation that makes the membership, nil for
	// any. Tags count only where they are named.
	Relation *string
	// Deep takes the whole sub-tree, with components and parts of its members.
	Deep bool
	// Template is the name of the members' template, of whatever version, and
	// State their state; empty for any.
	Template string
	State    registry.State
}

// params are the values of the filter's listing.
func (f MemberFilter) params(group registry.ID) params {
	return params{"id": string(group), "template": Fold(f.Template), "state": string(f.State)}
}

// memberKey orders members: devices first, each by reference.
const memberKey = "CASE WHEN n:Device THEN '" + devicesFirst + "' ELSE '2/' END + n.keyFold"

// devicesFirst begins the keys of members that are devices.
const devicesFirst = "1/"

// memberMatch finds members, deepMemberMatch those of the sub-tree. TYPE is
// nothing, or a relation's checked type.
const (
	memberMatch = `MATCH (top:Entity {id: $id}) WHERE top.account = $account AND top:Group
	MATCH (top)<-[rTYPE]-(n:LABEL) WHERE `

	deepMemberMatch = `MATCH (top:Entity {id: $id}) WHERE top.account = $account AND top:Group
	MATCH (top)<-[:CHILD_OF*0..32]-(g:Group)<-[rTYPE]-(:LABEL)<-` + wholes + `-(n:LABEL) WHERE `
)

// listing is the listing of members that the filter asks for.
func (f MemberFilter) listing() (listing, error) {
	match, labels, relation, condition := memberMatch, "Device|Asset", ":!WAS_RELATED", "r.inherits IS NULL"
	if f.Deep {
		match = deepMemberMatch
	}
	if f.Kind != nil {
		if *f.Kind == registry.KindGroup {
			return listing{}, registry.InvalidField("kind", "enum", "members are devices and assets: for groups ask for children")
		}
		labels = label(*f.Kind)
	}
	if f.Relation != nil {
		if violation := registry.CheckRelationName("relation", *f.Relation); violation != nil {
			return listing{}, registry.Invalid(*violation)
		}
		relation, condition = ":"+relationType(*f.Relation), "true"
	}
	if f.Template != "" {
		condition += " AND n.templateFold = $template"
	}
	if f.State != "" {
		condition += " AND n.state = $state"
	}
	return listing{
		name: "group.members", distinct: true, key: memberKey, item: "{thing: " + thing("n") + "}",
		match: strings.NewReplacer("LABEL", labels, "TYPE", relation).Replace(match) + condition,
	}, nil
}

// Members returns the devices and assets that are in a group, devices first,
// each by reference.
func (s *Store) Members(ctx context.Context, scope registry.Scope, group registry.ID, f MemberFilter, page registry.PageRequest) (registry.Page[registry.Twin], error) {
	if scope.AsOf != nil {
		return s.pastMembers(ctx, scope, group, f, page)
	}
	l, err := f.listing()
	if err != nil {
		return registry.Page[registry.Twin]{}, err
	}
	out, err := pageWith(ctx, s.reading(scope), l, page, Fold(page.Key), f.params(group), func(row fields) registry.Twin {
		twin, ok := thingOf(row.nested("thing")).(registry.Twin)
		if !ok {
			row.failed("a member is neither a device nor an asset")
		}
		return twin
	})
	if err != nil {
		return out, fmt.Errorf("members of group %s: %w", group, err)
	}
	return out, nil
}

// CountMembers counts what Members lists.
func (s *Store) CountMembers(ctx context.Context, scope registry.Scope, group registry.ID, f MemberFilter) (int, error) {
	if scope.AsOf != nil {
		return s.countPastMembers(ctx, scope, group, f)
	}
	l, err := f.listing()
	if err != nil {
		return 0, err
	}
	n, _, err := one(ctx, s.reading(scope), memberCount(l), f.params(group), counted)
	if err != nil {
		return 0, fmt.Errorf("count members of group %s: %w", group, err)
	}
	return n, nil
}

func memberCount(l listing) query {
	return query{"group.countMembers", l.match + "\nRETURN count(DISTINCT n) AS n"}
}

// MemberKey is the key that members are ordered by.
func MemberKey(t registry.Twin) string {
	switch t := t.(type) {
	case *registry.Device:
		return "1/" + t.Reference
	case *registry.Asset:
		return "2/" + t.Reference
	}
	return ""
}
