
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
	if filled.Attributes["model"] != "m9" || filled.Attributes["zoom"] != 4.0 || len(filled.Groups) != 2 {
		t.Errorf("filled = %+v", filled)
	}
	over := ask[updated](t, c, apply, map[string]any{"mode": "OVERWRITE"}).UpdateDevice.Device
	if over.Attributes["model"] != "m1" || len(over.Groups) != 1 || over.Groups[0].Path != "/a" {
		t.Errorf("overwritten = %+v", over)
	}
	ask[any](t, c, `mutation { updateProfile(input: {kind: DEVICE, template: "cam", name: "std", attributes: {zoom: null}}) { profile { version } } }`, nil)
	ask[any](t, c, `mutation { deleteProfile(input: {kind: DEVICE, template: "cam", name: "std"}) { deletedId } }`, nil)
	refused(t, c, "NOT_FOUND", `mutation { deleteProfile(input: {kind: DEVICE, template: "cam", name: "std"}) { deletedId } }`, nil)
	if gone := ask[struct{ Profile *profile }](t, c, `{ profile(kind: DEVICE, template: "cam", name: "std") { name } }`, nil); gone.Profile != nil {
		t.Errorf("the deleted profile is %+v", gone.Profile)
	}
}
