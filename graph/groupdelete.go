package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// namedAtOnce is how many of what is in the way a refusal names.
const namedAtOnce = 10

var (
	// What a sub-tree of $levels levels holds, and what is in its way.
	groupHeld = named("group.held", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		CALL (n) {
			MATCH (n)<-[:CHILD_OF*0..32]-(g:Group)
			WHERE g.depth <= n.depth + $levels
			RETURN collect(g) AS groups
		}
		CALL (groups) {
			UNWIND groups AS g
			MATCH (g)<-[:APPLIES_TO]-(p:Policy)
			WITH DISTINCT p.reference AS reference ORDER BY reference
			RETURN collect(reference) AS policies
		}
		CALL (groups) {
			UNWIND groups AS g
			MATCH (g)<-[:GIVES]-(p:Profile)
			WITH DISTINCT `+profileName+` AS name ORDER BY name
			RETURN collect(name) AS profiles
		}
		CALL (groups) {
			UNWIND groups AS g
			MATCH (g)-[r]-(:Group|Device|Asset)
			WHERE NOT type(r) IN $builtIn
			RETURN count(DISTINCT r) AS relations, coalesce(max(r.since), 0) AS newest
		}
		CALL (groups) {
			UNWIND groups AS g
			MATCH (g)<-[r]-(x:Device|Asset)
			WHERE NOT type(r) IN $builtIn
			RETURN count(DISTINCT x) AS twins
		}
		RETURN size(groups) AS groups, relations, newest, twins, policies, profiles,
			COUNT { (n)<-[:CHILD_OF]-() } AS children,
			COUNT { MATCH (n)<-[:!WAS_RELATED]-(x:Device|Asset) RETURN DISTINCT x } AS members`)

	// All that is deleted, the deepest first.
	groupSubtree = named("group.subtree", `
		MATCH (top:Entity {id: $id})
		WHERE top.account = $account
		CALL (top) {
			MATCH (top)<-[:CHILD_OF*1..32]-(n:Group)
			MATCH (n)-[:INSTANCE_OF]->(t:Template)
			RETURN collect({thing: `+thing("n")+`, template: t.id, templateName: t.name, templateVersion: t.version}) AS groups
		}
		RETURN groups`)
)

// burden is what a group has that goes with it or stands in the way.
type burden struct {
	groups, relations, twins, children, members int
	policies, profiles                          []string
	// newest is since when the newest of the relations is there, in milliseconds.
	newest int
}

// DeleteGroup deletes a group. It is refused with FAILED_PRECONDITION for the
// root, while a policy applies to the group and, unless the deletion cascades,
// while the group has children or members. Relations between it and other
// groups go with it. A deletion that cascades takes all groups below along and
// ends the relations of all of them. One change is recorded for each twin whose
// relations to them end, and then one for each group, the deepest first.
func (s *Store) DeleteGroup(ctx context.Context, scope registry.Scope, ref registry.Ref, d registry.GroupDeletion) (*registry.DeletedGroup, error) {
	var deleted *registry.DeletedGroup
	err := change(ctx, s, scope, "group.delete", func(ctx context.Context, tx *transaction) error {
		if err := s.keepToToken(ctx, tx, deletionOf(ref, d), s.planDeletion(scope, ref, d)); err != nil {
			return err
		}
		group, template, err := s.groupInPlace(ctx, tx, scope, groupRef(ref), d.IfVersion)
		if err != nil {
			return err
		}
		h, err := deletable(ctx, tx, group, d.Cascade)
		if err != nil {
			return err
		}
		deleted = &registry.DeletedGroup{Group: group, DeletedGroups: registry.DeletedGroups{Groups: h.groups, Relations: h.relations}}
		gone := []instance{{group, template}}
		if h.groups > 1 {
			below, err := tx.groupsBelow(ctx, group)
			if err != nil {
				return err
			}
			gone = append(below, gone...)
		}
		return tx.deleteGroups(ctx, gone)
	})
	if err != nil {
		return nil, fmt.Errorf("delete group: %w", err)
	}
	return deleted, nil
}

// deleteGroups deletes groups and notes what ends with them.
func (t *transaction) deleteGroups(ctx context.Context, gone []instance) error {
	groups, ids := make([]registry.Related, len(gone)), make([]registry.ID, len(gone))
	for i, g := range gone {
		groups[i], ids[i] = g.group, g.group.ID
	}
	end, err := t.endings(ctx, groups)
	if err != nil {
		return err
	}
	t.recordOthers(end)
	for _, g := range gone {
		t.recordDeletion(g.group, g.template, end.away[g.group.ID]...)
	}
	return t.bury(ctx, ids...)
}

// deletable says what would go with a group, or why it cannot go.
func deletable(ctx context.Context, r runner, group *registry.Group, cascade bool) (burden, error) {
	if group.Depth == 0 {
		return burden{}, rootStays()
	}
	levels := 0
	if cascade {
		levels = registry.MaxGroupDepth
	}
	h, _, err := one(ctx, r, groupHeld, params{"id": string(group.ID), "levels": levels, "builtIn": builtInTypes}, func(f fields) burden {
		return burden{
			groups: f.integer("groups"), relations: f.integer("relations"), twins: f.integer("twins"), children: f.integer("children"),
			members: f.integer("members"), policies: f.texts("policies"), profiles: f.texts("profiles"), newest: f.integer("newest"),
		}
	})
	if err == nil && !cascade {
		err = h.inTheWay(group.Path)
	}
	switch {
	case err != nil:
		return h, err
	case len(h.policies) > 0:
		return h, registry.FailedPrecondition("%s %s to %q or to groups below it", someOf(h.policies), applies(len(h.policies)), group.Path)
	case len(h.profiles) > 0:
		return h, registry.FailedPrecondition("group %q or one below it is named by %s: change or delete what names it first", group.Path, profilesNamed(h.profiles))
	case h.groups > registry.MaxGroupsAtOnce:
		return h, registry.LimitExceeded("%d groups cannot be deleted at once, at most %d: delete parts of them", h.groups, registry.MaxGroupsAtOnce)
	case h.relations > registry.MaxRelationsEnding:
		return h, registry.LimitExceeded("%d relations cannot be ended at once, at most %d: delete parts of the groups", h.relations, registry.MaxRelationsEnding)
	case h.twins > registry.MaxTwinsUnrelated:
		return h, registry.LimitExceeded("%d devices and assets cannot lose their relations at once, at most %d: delete parts of the groups", h.twins, registry.MaxTwinsUnrelated)
	}
	return h, nil
}

// someOf lists names, and how many more there are than a refusal names.
func someOf(names []string) string {
	if len(names) <= namedAtOnce {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:namedAtOnce], ", "), len(names)-namedAtOnce)
}

// profilesNamed tells which profiles name something.
func profilesNamed(names []string) string {
	if len(names) == 1 {
		return "profile " + names[0]
	}
	return "profiles " + someOf(names)
}

func rootStays() error {
	return registry.InvalidField("path", "root", "the root group cannot be deleted")
}

// inTheWay refuses to delete a group on its own that still has something.
func (b burden) inTheWay(path string) error {
	switch {
	case b.children+b.members+len(b.policies) > 0:
		return registry.FailedPrecondition("group %q still has %s", path, list(
			count(b.children, "child", "children"), count(b.members, "member", "members"), count(len(b.policies), "policy", "policies")))
	case len(b.profiles) > 0:
		return registry.FailedPrecondition("group %q is named by %s: change or delete what names it first", path, profilesNamed(b.profiles))
	}
	return nil
}

func applies(n int) string {
	if n == 1 {
		return "applies"
	}
	return "apply"
}

// instance is a group that goes, with its template.
type instance struct {
	group    *registry.Group
	template *registry.Template
}

// groupsBelow returns all groups below one, the deepest first.
func (t *transaction) groupsBelow(ctx context.Context, top *registry.Group) ([]instance, error) {
	below, _, err := one(ctx, t, groupSubtree, params{"id": string(top.ID)}, func(f fields) []instance {
		var out []instance
		for _, item := range f.maps("groups") {
			out = append(out, instance{
				typedThing[*registry.Group](item),
				&registry.Template{ID: item.id("template"), Name: item.text("templateName"), Version: item.integer("templateVersion")},
			})
		}
		return out
	})
	slices.SortFunc(below, func(a, b instance) int {
		return cmp.Or(b.group.Depth-a.group.Depth, strings.Compare(a.group.Path, b.group.Path))
	})
	return below, err
}
