package graph_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// cams makes a template of cameras, three sites and a profile.
func (w world) cams() *registry.Profile {
	w.Helper()
	w.groups("/s1", "/s2", "/s3")
	rule := func(name string) registry.RelationRule {
		return registry.RelationRule{Name: name, Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}
	}
	w.template(registry.NewTemplate{
		Kind: registry.KindDevice, Name: "Cam", Required: []string{"model"}, Relations: []registry.RelationRule{rule("linked_to"), rule("backup")},
		Properties: map[string]any{"model": property("string"), "serial": property("string"), "colour": property("string"), "zoom": property("integer")},
	})
	return must(w.CreateProfile(w.Context(), w.scope, registry.NewProfile{
		Kind: registry.KindDevice, Template: "cam", Name: "Std", Attributes: map[string]any{"model": "m1", "serial": "SN1", "zoom": 4},
		Relations: []registry.NewRelation{to("LINKED_TO", "/s1"), to("backup", "/s3")},
	}))
}

func to(relation string, groups ...string) registry.NewRelation {
	out := registry.NewRelation{Name: relation}
	for _, path := range groups {
		out.To = append(out.To, group(path))
	}
	return out
}

// has checks a device's attributes and the groups that it is in, by relation.
func (w world) has(reference string, attributes map[string]any, groups ...string) {
	w.Helper()
	with := must(w.DeviceByReference(w.Context(), w.scope, reference, graph.Include{Groups: true}))
	if diff := cmp.Diff(attributes, with.Twin.(*registry.Device).Attributes); diff != "" {
		w.Errorf("%s: %s", reference, diff)
	}
	paths, got := w.paths(), []string{}
	for _, m := range with.Memberships {
		got = append(got, fmt.Sprintf("%s %s", m.Relation, paths[m.GroupID]))
	}
	slices.Sort(got)
	if diff := cmp.Diff(groups, got); diff != "" {
		w.Errorf("%s: %s", reference, diff)
	}
}

func TestProfileLife(t *testing.T) {
	w := newWorld(t)
	p := w.cams()
	ref := registry.ProfileRef{Kind: registry.KindDevice, Template: "CAM", Name: "STD"}
	read, err := w.Profile(t.Context(), w.scope, ref)
	if diff := cmp.Diff(p, read); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
	if nodes, err := w.Nodes(t.Context(), w.scope, []registry.ID{p.ID}); err != nil || !cmp.Equal(nodes[0], registry.Node(p)) {
		t.Errorf("node = %+v, %v", nodes[0], err)
	}
	other := newOther(w)
	_, err = other.Profile(t.Context(), other.scope, registry.ProfileRef{ID: p.ID})
	refused(t, err, registry.CodeNotFound, string(p.ID))

	n := registry.NewProfile{Kind: registry.KindDevice, Template: "CAM", Name: "std"}
	_, err = w.CreateProfile(t.Context(), w.scope, n)
	refused(t, err, registry.CodeConflict, "std")
	n.Template = "ghost"
	_, err = w.CreateProfile(t.Context(), w.scope, n)
	refused(t, err, registry.CodeNotFound, "ghost")
	n = registry.NewProfile{Kind: registry.KindDevice, Template: "cam", Name: "no spaces", Attributes: map[string]any{"model": 1, "state": 1, "nope": 1}, Relations: []registry.NewRelation{to("bogus", "/s1"), to("backup", "/ghost")}}
	_, err = w.CreateProfile(t.Context(), w.scope, n)
	violates(t, err, "name", "name")
	violates(t, err, "attributes.model", "type")
	violates(t, err, "attributes.state", "reserved")
	violates(t, err, "attributes.nope", "undeclared")
	violates(t, err, "relations.bogus", "undeclared")
	violates(t, err, "relations.backup", "unknown")

	p, err = w.UpdateProfile(t.Context(), w.scope, ref, registry.ProfilePatch{Attributes: map[string]any{"serial": nil, "colour": "pink"}, Description: registry.Some("usual")})
	if want := map[string]any{"model": "m1", "zoom": int64(4), "colour": "pink"}; err != nil || !cmp.Equal(p.Attributes, want) || p.Version != 2 || len(p.Ends) != 2 {
		t.Errorf("updated = %+v, %v", p, err)
	}
	if same, err := w.UpdateProfile(t.Context(), w.scope, ref, registry.ProfilePatch{Attributes: map[string]any{"colour": "pink"}}); err != nil || same.Version != 2 {
		t.Errorf("updated without a change = %+v, %v", same, err)
	}
	first := 1
	_, err = w.UpdateProfile(t.Context(), w.scope, ref, registry.ProfilePatch{IfVersion: &first})
	refused(t, err, registry.CodeConflict, "version 2")
	p, err = w.UpdateProfile(t.Context(), w.scope, registry.ProfileRef{ID: p.ID}, registry.ProfilePatch{Relations: []registry.NewRelation{to("backup", "/s2")}})
	if want := []registry.ProfileRelation{{Name: "backup", Direction: registry.DirectionOut, Groups: []string{"/s2"}}}; err != nil || !cmp.Equal(p.Relations(), want) {
		t.Errorf("updated = %+v, %v", p, err)
	}
	_, err = w.DeleteTemplate(t.Context(), w.scope, registry.TemplateRef{Kind: registry.KindDevice, Name: "cam"})
	refused(t, err, registry.CodeFailedPrecondition, "1 profile")
	if id, err := w.DeleteProfile(t.Context(), w.scope, ref); err != nil || id != p.ID {
		t.Errorf("deleted %s, %v", id, err)
	}
	_, err = w.DeleteProfile(t.Context(), w.scope, ref)
	refused(t, err, registry.CodeNotFound, "STD")
	_, err = w.UpdateProfile(t.Context(), w.scope, ref, registry.ProfilePatch{})
	refused(t, err, registry.CodeNotFound, "STD")
	if got := w.journal(); !slices.Contains(got, "created PROFILE device/Cam/Std") || got[len(got)-1] != "deleted PROFILE device/Cam/Std" {
		t.Errorf("journal = %q", got)
	}
	if _, err := w.DeleteTemplate(t.Context(), w.scope, registry.TemplateRef{Kind: registry.KindDevice, Name: "cam"}); err != nil {
		t.Errorf("delete the template: %v", err)
	}
}

func TestProfileAtCreation(t *testing.T) {
	w := newWorld(t)
	w.cams()
	create := func(n registry.NewTwin) error {
		if n.Template == "" {
			n.Template = "cam"
		}
		_, err := w.CreateDevice(t.Context(), w.scope, n)
		return err
	}
	_, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "c0", Template: "cam"})
	violates(t, err, "attributes.model", "required")
	for _, err := range []error{
		create(registry.NewTwin{Reference: "c1", Profile: "STD"}),
		create(registry.NewTwin{Reference: "c2", Profile: "std", Attributes: map[string]any{"model": "m2", "serial": nil}, Relations: []registry.NewRelation{to("linked_to", "/s2")}}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	w.has("c1", map[string]any{"model": "m1", "serial": "SN1", "zoom": int64(4)}, "backup /s3", "linked_to /s1")
	w.has("c2", map[string]any{"model": "m2", "zoom": int64(4)}, "backup /s3", "linked_to /s2")
	refused(t, create(registry.NewTwin{Reference: "c3", Profile: "ghost"}), registry.CodeNotFound, "ghost")
	refused(t, create(registry.NewTwin{Reference: "c3", Profile: "std", Template: "open"}), registry.CodeNotFound, "std")
	violates(t, create(registry.NewTwin{Reference: "c3", Profile: "std", Attributes: map[string]any{"zoom": "far"}}), "attributes.zoom", "type")

	bulk, err := w.CreateTwins(t.Context(), w.scope, registry.KindDevice, []registry.NewTwin{
		{Reference: "b1", Template: "cam", Profile: "std"}, {Reference: "b2", Template: "cam", Profile: "ghost"}, {Reference: "b3", Template: "cam", Attributes: map[string]any{"model": "x"}},
	}, false)
	if err != nil || bulk.Succeeded != 2 || bulk.Results[1].Error.Code != registry.CodeNotFound {
		t.Errorf("bulk = %+v, %v", bulk, err)
	}
	w.has("b1", map[string]any{"model": "m1", "serial": "SN1", "zoom": int64(4)}, "backup /s3", "linked_to /s1")

	must(w.CreateProfile(t.Context(), w.scope, registry.NewProfile{Kind: registry.KindGroup, Template: "open", Name: "plot", Attributes: map[string]any{"area": 12.5}}))
	g, err := w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Name: "p", Profile: "Plot"})
	if err != nil || !cmp.Equal(g.Attributes, map[string]any{"area": 12.5}) {
		t.Errorf("group = %+v, %v", g, err)
	}
	// What was made stays when the profile goes.
	if _, err := w.DeleteProfile(t.Context(), w.scope, registry.ProfileRef{Kind: registry.KindDevice, Template: "cam", Name: "std"}); err != nil {
		t.Fatal(err)
	}
	w.has("c1", map[string]any{"model": "m1", "serial": "SN1", "zoom": int64(4)}, "backup /s3", "linked_to /s1")
}

func TestProfileAtUpdate(t *testing.T) {
	w := newWorld(t)
	w.cams()
	for _, reference := range []string{"fill", "over"} {
		must(w.CreateDevice(t.Context(), w.scope, registry.NewTwin{
			Reference: reference, Template: "cam", Attributes: map[string]any{"model": "m9", "colour": "plum"}, Relations: []registry.NewRelation{to("backup", "/s2")},
		}))
	}
	profile := text("std")
	must(w.UpdateDevice(t.Context(), w.scope, device("fill"), registry.TwinPatch{Profile: profile}))
	w.has("fill", map[string]any{"model": "m9", "colour": "plum", "serial": "SN1", "zoom": int64(4)}, "backup /s2", "backup /s3", "linked_to /s1")
	over := must(w.DeviceByReference(t.Context(), w.scope, "over", graph.Include{})).Twin.NodeID()
	must(w.UpdateDevice(t.Context(), w.scope, registry.Ref{ID: over}, registry.TwinPatch{Profile: profile, ProfileMode: registry.ProfileOverwrite, Attributes: map[string]any{"zoom": 7}}))
	w.has("over", map[string]any{"model": "m1", "colour": "plum", "serial": "SN1", "zoom": int64(7)}, "backup /s3", "linked_to /s1")
	must(w.UpdateDevice(t.Context(), w.scope, device("over"), registry.TwinPatch{
		Profile: profile, ProfileMode: registry.ProfileOverwrite, Relations: &registry.RelationPatch{Add: []registry.NewRelation{to("linked_to", "/s2")}},
	}))
	w.has("over", map[string]any{"model": "m1", "colour": "plum", "serial": "SN1", "zoom": int64(4)}, "backup /s3", "linked_to /s2")
	must(w.UpdateDevice(t.Context(), w.scope, device("fill"), registry.TwinPatch{
		Profile: profile, Relations: &registry.RelationPatch{Replace: []registry.RelationSet{{Direction: registry.DirectionOut, Kind: registry.KindGroup}}},
	}))
	w.has("fill", map[string]any{"model": "m9", "colour": "plum", "serial": "SN1", "zoom": int64(4)}, []string{}...)
	for _, ref := range []registry.Ref{device("over"), {ID: over}} {
		_, err := w.UpdateDevice(t.Context(), w.scope, ref, registry.TwinPatch{Profile: text("ghost")})
		refused(t, err, registry.CodeNotFound, "ghost")
	}
	_, err := w.UpdateDevice(t.Context(), w.scope, device("ghost"), registry.TwinPatch{Profile: profile})
	refused(t, err, registry.CodeNotFound, `device "ghost"`)
	// The profile is that of the template that a device changes to.
	_, err = w.UpdateDevice(t.Context(), w.scope, device("over"), registry.TwinPatch{Profile: profile, Template: text("open")})
	refused(t, err, registry.CodeNotFound, "std")
}

func TestListProfiles(t *testing.T) {
	w := newWorld(t)
	w.cams()
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Cam2"})
	for _, n := range []registry.NewProfile{
		{Kind: registry.KindDevice, Template: "cam2", Name: "a"}, {Kind: registry.KindDevice, Template: "cam", Name: "B"},
		{Kind: registry.KindGroup, Template: "open", Name: "plot"}, {Kind: registry.KindAsset, Template: "open", Name: "plot"},
	} {
		must(w.CreateProfile(t.Context(), w.scope, n))
	}
	kind, cam, open := registry.KindDevice, "CAM", "open"
	for name, c := range map[string]struct {
		filter graph.ProfileFilter
		want   []string
	}{
		"all":           {graph.ProfileFilter{}, []string{"asset/open/plot", "device/Cam/B", "device/Cam/Std", "device/Cam2/a", "group/open/plot"}},
		"of a kind":     {graph.ProfileFilter{Kind: &kind}, []string{"device/Cam/B", "device/Cam/Std", "device/Cam2/a"}},
		"of a template": {graph.ProfileFilter{Kind: &kind, Template: &cam}, []string{"device/Cam/B", "device/Cam/Std"}},
		"of a name":     {graph.ProfileFilter{Template: &open}, []string{"asset/open/plot", "group/open/plot"}},
	} {
		var got []string
		page, err := w.ListProfiles(t.Context(), w.scope, c.filter, registry.PageRequest{Size: 2})
		for err == nil {
			for _, p := range page.Items {
				got = append(got, p.Key())
			}
			if !page.HasNext {
				break
			}
			page, err = w.ListProfiles(t.Context(), w.scope, c.filter, registry.PageRequest{Size: 2, Key: got[len(got)-1]})
		}
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if n, err := w.CountProfiles(t.Context(), w.scope, c.filter); err != nil || n != len(c.want) {
			t.Errorf("%s: count = %d, %v", name, n, err)
		}
	}
	templates, err := w.NewestTemplates(t.Context(), w.scope, []registry.TemplateRef{{Kind: kind, Name: "ghost"}, {Kind: kind, Name: "CAM"}})
	if err != nil || templates[0] != nil || templates[1].Name != "Cam" {
		t.Errorf("newest templates = %v, %v", templates, err)
	}
}
