package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTemplateVersions takes a template through its life: draft, published, a
// second draft that is rehearsed, published and given to the objects.
func TestTemplateVersions(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	type template struct {
		Name, Status         string
		Version, ObjectCount int
		Current              bool
	}
	ask[any](t, c, `mutation { createTemplate(input: {kind: GROUP, name: "Site", publish: true}) { template { id } } }`, nil)
	ask[any](t, c, `mutation { createTemplate(input: {kind: DEVICE, name: "Lamp", properties: {watts: {type: "integer"}}, relations: [{name: "Lights", templates: ["SITE"]}]}) { template { id } } }`, nil)
	refused(t, c, "CONFLICT", `mutation { createTemplate(input: {kind: DEVICE, name: "LAMP"}) { template { id } } }`, nil)
	type found struct{ Published, Draft *template }
	const look = `{
		published: template(kind: DEVICE, name: "lamp") { ...all }
		draft: template(kind: DEVICE, name: "lamp", status: DRAFT) { ...all }
	} fragment all on Template { name version status objectCount current }`
	if diff := cmp.Diff(found{Draft: &template{"Lamp", "DRAFT", 1, 0, false}}, ask[found](t, c, look, nil)); diff != "" {
		t.Error(diff)
	}
	refused(t, c, "NOT_FOUND", `mutation { createDevice(input: {reference: "early", template: "lamp"}) { device { id } } }`, nil)
	ask[any](t, c, `mutation { publishTemplate(input: {kind: DEVICE, name: "lamp"}) { template { id } } }`, nil)
	refused(t, c, "NOT_FOUND", `mutation { publishTemplate(input: {kind: DEVICE, name: "lamp"}) { template { id } } }`, nil)
	ask[any](t, c, `mutation {
		createGroup(input: {name: "s", template: "site"}) { group { id } }
		bright: createDevice(input: {reference: "bright", template: "lamp", attributes: {watts: 60}, relations: [{name: "lights", groups: ["/s"]}]}) { device { id } }
		dim: createDevice(input: {reference: "dim", template: "lamp", attributes: {watts: 3}}) { device { id } }
	}`, nil)
	ask[any](t, c, `mutation { updateTemplate(input: {kind: DEVICE, name: "lamp", properties: {watts: {type: "integer", minimum: 5}}}) { template { id } } }`, nil)
	want := found{Published: &template{"Lamp", "PUBLISHED", 1, 2, true}, Draft: &template{"Lamp", "DRAFT", 2, 0, false}}
	if diff := cmp.Diff(want, ask[found](t, c, look, nil)); diff != "" {
		t.Error(diff)
	}

	type rehearsal struct {
		Token            string
		Objects, Failing int
		Failures         struct {
			Nodes []struct {
				Object     struct{ Reference string }
				Violations []struct{ Path, Rule string }
			}
		}
	}
	type rehearsed struct{ PublishTemplate struct{ Rehearsal rehearsal } }
	got := ask[rehearsed](t, c, `mutation { publishTemplate(input: {kind: DEVICE, name: "lamp", rehearse: true}) { rehearsal {
		token objects failing failures { nodes { object { ... on Device { reference } } violations { path rule } } }
	} } }`, nil).PublishTemplate.Rehearsal
	if got.Objects != 2 || got.Failing != 1 || len(got.Failures.Nodes) != 1 || got.Failures.Nodes[0].Object.Reference != "dim" ||
		got.Failures.Nodes[0].Violations[0].Path != "attributes.watts" || got.Failures.Nodes[0].Violations[0].Rule != "minimum" {
		t.Errorf("rehearsal = %+v", got)
	}
	ask[any](t, c, `mutation($token: String) { publishTemplate(input: {kind: DEVICE, name: "lamp", token: $token}) { template { id } } }`, map[string]any{"token": got.Token})
	refused(t, c, "INVALID", `mutation { migrateObjects(input: {kind: DEVICE, template: "lamp", all: true}) { migrated } }`, nil)
	moved := ask[struct{ MigrateObjects struct{ Migrated int } }](t, c, `mutation { migrateObjects(input: {kind: DEVICE, template: "lamp", all: true, skipFailing: true}) { migrated } }`, nil)
	if moved.MigrateObjects.Migrated != 1 {
		t.Errorf("moved %d", moved.MigrateObjects.Migrated)
	}
	versions := ask[struct{ Template struct{ Versions []template } }](t, c, `{ template(kind: DEVICE, name: "lamp") { versions { name version status objectCount current } } }`, nil)
	if diff := cmp.Diff([]template{{"Lamp", "PUBLISHED", 2, 1, true}, {"Lamp", "PUBLISHED", 1, 1, false}}, versions.Template.Versions); diff != "" {
		t.Error(diff)
	}
	refused(t, c, "FAILED_PRECONDITION", `mutation { deleteTemplate(input: {kind: DEVICE, name: "lamp"}) { deletedIds } }`, nil)
	ask[any](t, c, `mutation { a: deleteDevice(input: {reference: "dim"}) { deletedId } b: deleteDevice(input: {reference: "bright"}) { deletedId } }`, nil)
	deleted := ask[struct{ DeleteTemplate struct{ DeletedIds []string } }](t, c, `mutation { deleteTemplate(input: {kind: DEVICE, name: "lamp"}) { deletedIds } }`, nil)
	if len(deleted.DeleteTemplate.DeletedIds) != 2 {
		t.Errorf("deleted %v", deleted)
	}
}

// TestProfiles makes, lists and changes profiles, and devices with them.
func TestProfiles(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "cam", required: ["model"], publish: true, properties: {model: {type: "string"}, zoom: {type: "integer"}}, relations: [{name: "linked_to"}]}) { template { id } }
		a: createGroup(input: {name: "a"}) { group { id } }
		b: createGroup(input: {name: "b"}) { group { id } }
		createProfile(input: {kind: DEVICE, template: "CAM", name: "Std", attributes: {model: "m1", zoom: 4}, relations: [{name: "linked_to", groups: ["/a"]}]}) { profile { id } }
		createDevice(input: {reference: "made", template: "cam", profile: "std", attributes: {zoom: 2}}) { device { id } }
		other: createDevice(input: {reference: "changed", template: "cam", attributes: {model: "m9"}, relations: [{name: "linked_to", groups: ["/b"]}]}) { device { id } }
	}`, nil)
	type device struct {
		Attributes map[string]any
		Groups     []struct{ Path string }
	}
	type profile struct {
		Name      string
		Version   int
		Template  struct{ Name string }
		Relations []struct {
			Name, Direction string
			Groups, Assets  []string
		}
		Changes struct{ Nodes []struct{ Action string } }
	}
	got := ask[struct {
		Profiles struct {
			Nodes      []profile
			TotalCount int
		}
		Made device
	}](t, c, `{
		profiles(kind: DEVICE, template: "cam") { totalCount nodes { name version template { name } relations { name direction groups assets } changes { nodes { action } } } }
		made: device(reference: "made") { attributes groups { path } }
	}`, nil)
	if got.Profiles.TotalCount != 1 || got.Profiles.Nodes[0].Template.Name != "cam" || got.Profiles.Nodes[0].Relations[0].Groups[0] != "/a" || got.Profiles.Nodes[0].Changes.Nodes[0].Action != "created" {
		t.Errorf("profiles = %+v", got.Profiles)
	}
	if got.Made.Attributes["model"] != "m1" || got.Made.Attributes["zoom"] != 2.0 || len(got.Made.Groups) != 1 {
		t.Errorf("made = %+v", got.Made)
	}
	refused(t, c, "NOT_FOUND", `mutation { createDevice(input: {reference: "x", template: "cam", profile: "ghost"}) { device { id } } }`, nil)
	const apply = `mutation($mode: ProfileMode!) { updateDevice(input: {reference: "changed", profile: "STD", profileMode: $mode}) { device { attributes groups { path } } } }`
	type updated struct{ UpdateDevice struct{ Device device } }
	filled := ask[updated](t, c, apply, map[string]any{"mode": "FILL_UNSET"}).UpdateDevice.Device
	if filled.Attributes["model"] != "m9" || filled.Attributes["zoom"] != 4.0 {
		t.Errorf("filled = %+v", filled)
	}
	over := ask[updated](t, c, apply, map[string]any{"mode": "OVERWRITE"}).UpdateDevice.Device
	if over.Attributes["model"] != "m1" {
		t.Errorf("overwritten = %+v", over)
	}
	ask[any](t, c, `mutation { updateProfile(input: {kind: DEVICE, template: "cam", name: "std", attributes: {zoom: null}}) { profile { version } } }`, nil)
	ask[any](t, c, `mutation { deleteProfile(input: {kind: DEVICE, template: "cam", name: "std"}) { deletedId } }`, nil)
	refused(t, c, "NOT_FOUND", `mutation { deleteProfile(input: {kind: DEVICE, template: "cam", name: "std"}) { deletedId } }`, nil)
	if gone := ask[struct{ Profile *profile }](t, c, `{ profile(kind: DEVICE, template: "cam", name: "std") { name } }`, nil); gone.Profile != nil {
		t.Errorf("the deleted profile is %+v", gone.Profile)
	}
}
