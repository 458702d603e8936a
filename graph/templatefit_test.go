package graph_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// misfits are the keys of a rehearsal's misfits with their violations.
func misfits(r *registry.TemplateRehearsal) []string {
	out := []string{}
	for _, m := range r.Misfits {
		line := ""
		switch object := m.Object.(type) {
		case *registry.Group:
			line = object.Path
		case *registry.Device:
			line = object.Reference
		case *registry.Asset:
			line = object.Reference
		}
		for _, v := range m.Violations {
			line += " " + v.Path + "/" + v.Rule
		}
		out = append(out, line)
	}
	return out
}

// pumps makes a template of pumps, version 1, and three pumps: one fits what
// version 2 is to be, one has a colour that it no longer takes, one stands where
// it no longer may.
func (w world) pumps() registry.TemplateRef {
	w.Helper()
	w.groups("/hall")
	w.template(registry.NewTemplate{Kind: registry.KindGroup, Name: "Site"})
	must(w.CreateGroup(w.Context(), w.scope, registry.NewGroup{Name: "site", Template: "Site"}))
	at := registry.RelationRule{Name: "at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}
	feeds := registry.RelationRule{Name: "feeds", Direction: registry.DirectionOut, Kind: registry.KindDevice, Templates: []string{"Pump"}, Inherits: true}
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Pump", Properties: map[string]any{"colour": property("string")}, Relations: []registry.RelationRule{at, feeds}})
	for reference, pump := range map[string]struct{ colour, group string }{"a": {"red", "/site"}, "b": {"blue", "/site"}, "c": {"red", "/hall"}} {
		n := registry.NewTwin{Reference: reference, Template: "pump", Attributes: map[string]any{"colour": pump.colour}}
		n.Relations = []registry.NewRelation{{Name: "at", To: []registry.Ref{group(pump.group)}}}
		must(w.CreateDevice(w.Context(), w.scope, n))
	}
	if _, _, err := w.Relate(w.Context(), w.scope, device("a"), "feeds", device("b")); err != nil {
		w.Fatal(err)
	}
	at.Templates, feeds.Direction = []string{"Site"}, registry.DirectionIn
	draft := must(w.draft(registry.KindDevice, "pump", registry.TemplatePatch{
		Properties: map[string]any{"colour": map[string]any{"enum": []any{"red"}}}, Relations: []registry.RelationRule{at, feeds},
	}))
	return registry.TemplateRef{ID: draft.ID}
}

var pumpMisfits = []string{"b attributes.colour/enum", "c relations.at/undeclared"}

func TestRehearsePublishing(t *testing.T) {
	w := newWorld(t)
	ref := w.pumps()
	draft, found, err := w.RehearsePublish(t.Context(), w.scope, ref)
	if err != nil || draft.Status != registry.TemplateDraft || found.Objects != 3 || found.Failing != 2 {
		t.Fatalf("rehearsal = %+v of %+v, %v", found, draft, err)
	}
	if diff := cmp.Diff(pumpMisfits, misfits(found)); diff != "" {
		t.Error(diff)
	}
	other := newOther(w)
	if _, _, err := other.RehearsePublish(t.Context(), other.scope, ref); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("another account rehearses: %v", err)
	}
	_, _, err = w.PublishTemplate(t.Context(), w.scope, ref, "nonsense")
	violates(t, err, "token", "token")

	// What does not concern the template does not spoil the token; another misfit
	// does, and so does another definition.
	w.device("elsewhere")
	must(w.UpdateDevice(t.Context(), w.scope, device("a"), registry.TwinPatch{Attributes: map[string]any{"colour": "green"}}))
	_, _, err = w.PublishTemplate(t.Context(), w.scope, ref, found.Token)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	_, found, err = w.RehearsePublish(t.Context(), w.scope, ref)
	if err != nil {
		t.Fatal(err)
	}
	must(w.draft(registry.KindDevice, "pump", registry.TemplatePatch{Description: registry.Some("mended")}))
	_, _, err = w.PublishTemplate(t.Context(), w.scope, ref, found.Token)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	_, found, err = w.RehearsePublish(t.Context(), w.scope, ref)
	if err != nil {
		t.Fatal(err)
	}
	w.device("elsewhere-2")
	published, _, err := w.PublishTemplate(t.Context(), w.scope, ref, found.Token)
	if err != nil || published.Version != 2 || published.Status != registry.TemplatePublished {
		t.Errorf("published = %+v, %v", published, err)
	}
}

func TestRehearsePublishingNamesProfiles(t *testing.T) {
	w := newWorld(t)
	w.cams()
	other := registry.NewProfile{Kind: registry.KindDevice, Template: "cam", Name: "fits", Attributes: map[string]any{"colour": "red"}}
	must(w.CreateProfile(t.Context(), w.scope, other))
	properties := map[string]any{"model": property("string"), "serial": property("integer"), "colour": property("string")}
	backup := registry.RelationRule{Name: "backup", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}
	draft := must(w.draft(registry.KindDevice, "cam", registry.TemplatePatch{Properties: properties, Relations: []registry.RelationRule{backup}}))
	ref := registry.TemplateRef{ID: draft.ID}
	broken := func(what string, misfits []*registry.ProfileMisfit, want ...string) {
		t.Helper()
		var got []string
		for _, m := range misfits {
			for _, v := range m.Violations {
				got = append(got, fmt.Sprintf("%s %s/%s", m.Profile.Name, v.Path, v.Rule))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}

	_, found, err := w.RehearsePublish(t.Context(), w.scope, ref)
	if err != nil {
		t.Fatal(err)
	}
	broken("rehearsed", found.Profiles, "Std attributes.serial/type", "Std attributes.zoom/undeclared", "Std relations.linked_to/undeclared")
	must(w.UpdateProfile(t.Context(), w.scope, std, registry.ProfilePatch{Attributes: map[string]any{"zoom": nil}}))
	_, _, err = w.PublishTemplate(t.Context(), w.scope, ref, found.Token)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	_, misfits, err := w.PublishTemplate(t.Context(), w.scope, ref, "")
	if err != nil {
		t.Fatal(err)
	}
	broken("published", misfits, "Std attributes.serial/type", "Std relations.linked_to/undeclared")
}

func TestMigrateNamed(t *testing.T) {
	w := newWorld(t)
	ref := w.pumps()
	second, err := w.publish(ref)
	if err != nil {
		t.Fatal(err)
	}
	b := must(w.DeviceByReference(t.Context(), w.scope, "b", graph.Include{})).Twin.(*registry.Device)
	m := registry.Migration{Kind: registry.KindDevice, Template: "PUMP", IDs: []registry.ID{b.ID}, References: []string{"A", "c"}}
	found, err := w.RehearseMigration(t.Context(), w.scope, m)
	if err != nil || found.Objects != 3 || found.Failing != 3 {
		t.Fatalf("rehearsal = %+v, %v", found, err)
	}
	// The pump that a feeds is to be of version 1 still: nothing takes it in.
	if diff := cmp.Diff([]string{"a relations.feeds/undeclared", "b attributes.colour/enum", "c relations.at/undeclared"}, misfits(found)); diff != "" {
		t.Error(diff)
	}
	_, err = w.MigrateObjects(t.Context(), w.scope, m)
	violates(t, err, "objects[b].attributes.colour", "enum")
	m.SkipFailing = true
	if n, err := w.MigrateObjects(t.Context(), w.scope, m); err != nil || n != 0 {
		t.Errorf("moved %d, %v", n, err)
	}
	m = registry.Migration{Kind: registry.KindDevice, Template: "pump", References: []string{"b"}}
	must(w.UpdateDevice(t.Context(), w.scope, device("b"), registry.TwinPatch{Attributes: map[string]any{"colour": "red"}}))
	for want := 1; want >= 0; want-- {
		if n, err := w.MigrateObjects(t.Context(), w.scope, m); err != nil || n != want {
			t.Errorf("moved %d, %v, want %d", n, err, want)
		}
	}
	after := must(w.DevicesByID(t.Context(), w.scope, []registry.ID{b.ID}))[0]
	if after.TemplateID != second.ID || after.Version != b.Version+2 {
		t.Errorf("b = %+v", after)
	}
	if got := w.journal(); !slices.Contains(got, "migrated DEVICE b") {
		t.Errorf("journal = %q", got)
	}
	first := 1
	m.Version = &first
	if n, err := w.MigrateObjects(t.Context(), w.scope, m); err != nil || n != 1 {
		t.Errorf("back to version 1: %d, %v", n, err)
	}
	m.References = []string{"ghost"}
	_, err = w.MigrateObjects(t.Context(), w.scope, m)
	refused(t, err, registry.CodeNotFound, "ghost")
	w.device("elsewhere")
	m.References = []string{"elsewhere"}
	_, err = w.MigrateObjects(t.Context(), w.scope, m)
	violates(t, err, "template", "template")
	_, err = w.MigrateObjects(t.Context(), w.scope, registry.Migration{Kind: registry.KindDevice, Template: "pump", References: []string{"b"}, All: true})
	violates(t, err, "all", "exclusive")
	_, err = w.MigrateObjects(t.Context(), w.scope, registry.Migration{Kind: registry.KindDevice, Template: "ghost", All: true})
	refused(t, err, registry.CodeNotFound, "ghost")
}

func TestMigrateAll(t *testing.T) {
	w := newWorld(t)
	ref := w.pumps()
	if _, err := w.publish(ref); err != nil {
		t.Fatal(err)
	}
	m := registry.Migration{Kind: registry.KindDevice, Template: "Pump", All: true}
	found, err := w.RehearseMigration(t.Context(), w.scope, m)
	if diff := cmp.Diff(pumpMisfits, misfits(found)); diff != "" || err != nil {
		t.Errorf("rehearsal: %v\n%s", err, diff)
	}
	before := len(w.journal())
	_, err = w.MigrateObjects(t.Context(), w.scope, m)
	violates(t, err, "objects[c].relations.at", "undeclared")
	refused(t, err, registry.CodeInvalid, "2 of 3 objects would break version 2 of template Pump")
	if len(w.journal()) != before {
		t.Error("a refused migration changed something")
	}
	m.SkipFailing, m.Token = true, found.Token
	_, err = w.MigrateObjects(t.Context(), w.scope, m)
	violates(t, err, "token", "token") // a rehearsal of another call
	m.Token = must(w.RehearseMigration(t.Context(), w.scope, m)).Token
	if n, err := w.MigrateObjects(t.Context(), w.scope, m); err != nil || n != 1 {
		t.Errorf("moved %d, %v", n, err)
	}
	_, err = w.MigrateObjects(t.Context(), w.scope, m)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	must(w.UpdateDevice(t.Context(), w.scope, device("b"), registry.TwinPatch{Attributes: map[string]any{"colour": "red"}}))
	if _, err := w.DeleteDevice(t.Context(), w.scope, device("c")); err != nil {
		t.Fatal(err)
	}
	m = registry.Migration{Kind: registry.KindDevice, Template: "Pump", All: true}
	if n, err := w.MigrateObjects(t.Context(), w.scope, m); err != nil || n != 1 {
		t.Errorf("moved the rest: %d, %v", n, err)
	}
}

// Groups and assets move as devices do, over several batches too.
func TestMigrateManyGroups(t *testing.T) {
	w := newWorld(t)
	w.template(registry.NewTemplate{Kind: registry.KindGroup, Name: "Room"})
	_, err := w.Cypher(t.Context(), w.scope, `
		MATCH (top:Group) WHERE top.account = $account AND top.keyFold = '/'
		MATCH (t:Template) WHERE t.account = $account AND t.keyFold = 'group/room/000001'
		UNWIND range(0, 2499) AS i
		CREATE (g:Group:Entity {id: randomUUID(), account: $account, keyFold: '/r' + i, path: '/r' + i, name: 'r' + i, depth: 1,
			templateFold: 'room', version: 1, createdAt: datetime(), updatedAt: datetime()})
		CREATE (top)<-[:CHILD_OF {since: 0, name: g.name, nameFold: g.name}]-(g)-[:INSTANCE_OF]->(t)`, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.template(registry.NewTemplate{Kind: registry.KindGroup, Name: "Room", Properties: map[string]any{"area": property("number")}})
	n, err := w.MigrateObjects(t.Context(), w.scope, registry.Migration{Kind: registry.KindGroup, Template: "room", All: true})
	if err != nil || n != 2500 {
		t.Errorf("moved %d, %v", n, err)
	}
	if _, err := w.UpdateGroup(t.Context(), w.scope, group(fmt.Sprintf("/r%d", 2499)), registry.TwinPatch{Attributes: map[string]any{"area": 12.5}}); err != nil {
		t.Errorf("a moved group: %v", err)
	}
}
