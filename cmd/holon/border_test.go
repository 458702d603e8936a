package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// foreign are the things of one account by which another tries to reach over
// the border.
type foreign struct {
	Account, Group, Device, Asset, Template, Policy, Key              string // ids
	Path, DeviceRef, AssetRef, TemplateName, PolicyRef, Type, Profile string // keys
}

// absentThings are things that exist nowhere.
func absentThings() foreign {
	id := func(n int) string { return fmt.Sprintf("01990000-0000-7000-8000-%012d", n) }
	return foreign{
		Account: id(1), Group: id(2), Device: id(3), Asset: id(4), Template: id(5), Policy: id(6), Key: id(7),
		Path: "/nowhere", DeviceRef: "no-device", AssetRef: "no-asset", TemplateName: "no_template", PolicyRef: "no-policy", Type: "no_type", Profile: "no-profile",
	}
}

// reaches are operations on somebody else's things, by the field of the root
// that they try. $x is replaced by a thing.
var reaches = map[string][]string{
	"viewer":            {`{ viewer { account { name } key { devices { id } } } }`},
	"node":              {`{ node(id: "$Group") { id } }`, `{ node(id: "$Device") { id } }`, `{ node(id: "$Asset") { id } }`, `{ node(id: "$Template") { id } }`, `{ node(id: "$Policy") { id } }`, `{ node(id: "$Account") { id } }`},
	"nodes":             {`{ nodes(ids: ["$Group", "$Device", "$Asset", "$Template", "$Policy", "$Account"]) { id } }`},
	"twin":              {`{ twin(id: "$Device") { id live { value } } }`, `{ twin(id: "$Asset") { id } }`},
	"group":             {`{ group(path: "$Path") { id } }`},
	"groups":            {`{ groups(under: "$Path") { totalCount nodes { id } } }`, `{ groups(template: "$TemplateName") { totalCount } }`, `{ groups(paths: ["$Path"]) { totalCount nodes { id } } }`},
	"device":            {`{ device(reference: "$DeviceRef") { id } }`},
	"devices":           {`{ devices(under: "$Path") { totalCount nodes { id } } }`, `{ devices { totalCount nodes { id } } }`},
	"asset":             {`{ asset(reference: "$AssetRef") { id } }`},
	"assets":            {`{ assets(under: "$Path") { totalCount nodes { id } } }`, `{ assets { totalCount nodes { id } } }`},
	"template":          {`{ template(kind: DEVICE, name: "$TemplateName") { id versions { id } objectCount } }`, `{ template(kind: DEVICE, name: "$TemplateName", status: DRAFT) { id } }`},
	"templates":         {`{ templates(kind: DEVICE) { nodes { name } } }`},
	"measureType":       {`{ measureType(name: "$Type") { id } }`},
	"measureTypes":      {`{ measureTypes { totalCount } }`},
	"policy":            {`{ policy(reference: "$PolicyRef") { id } }`},
	"policies":          {`{ policies { totalCount } }`},
	"inheritedPolicies": {`{ inheritedPolicies(groups: ["$Path"]) { id } }`},
	"changes":           {`{ changes(object: "$Device") { totalCount nodes { key } } }`, `{ changes(kinds: [DEVICE], key: "$DeviceRef") { totalCount } }`, `{ changes(actor: "$Key") { totalCount } }`, `{ changes(under: "$Path") { nodes { key } } }`},
	"search":            {`{ search(under: "$Path") { totalCount nodes { __typename } } }`, `{ search(where: "id in ['$Device', '$Asset'] or any(relations.located_at, .id == '$Group') or '$Path' in groups") { totalCount } }`, `{ search(text: "climate denver", templates: ["$TemplateName"]) { totalCount facets(field: "reference") { value } } }`},
	"deadLetters":       {`{ deadLetters { totalCount } }`, `{ deadLetters(device: "$DeviceRef") { totalCount } }`},
	"deadLetterCounts":  {`{ deadLetterCounts { reason count } }`, `{ deadLetterCounts(device: "$DeviceRef") { count } }`},
	"replayDeadLetters": {`mutation { replayDeadLetters(input: {ids: ["$Device"]}) { accepted refused } }`, `mutation { replayDeadLetters(input: {device: "$DeviceRef"}) { accepted refused } }`},
	"dropDeadLetters":   {`mutation { dropDeadLetters(input: {ids: ["$Device", "$Group"]}) { dropped } }`, `mutation { dropDeadLetters(input: {device: "$DeviceRef"}) { dropped } }`, `mutation { dropDeadLetters(input: {all: true}) { dropped } }`},

	"createMeasureType": {}, // makes a thing of one's own
	"deleteMeasureType": {`mutation { deleteMeasureType(input: {name: "$Type"}) { deletedId } }`},
	"createTemplate":    {`mutation { createTemplate(input: {kind: ASSET, name: "mine", measures: [{name: "m", type: "$Type"}]}) { template { id } } }`},
	"updateTemplate":    {`mutation { updateTemplate(input: {id: "$Template", description: "x"}) { template { id } } }`, `mutation { updateTemplate(input: {kind: DEVICE, name: "$TemplateName", description: "x"}) { template { id } } }`},
	"publishTemplate":   {`mutation { publishTemplate(input: {id: "$Template"}) { template { id } } }`, `mutation { publishTemplate(input: {kind: DEVICE, name: "$TemplateName"}) { template { id } } }`, `mutation { publishTemplate(input: {id: "$Template", rehearse: true}) { template { id } } }`},
	"migrateObjects":    {`mutation { migrateObjects(input: {kind: DEVICE, template: "$TemplateName", all: true}) { migrated } }`, `mutation { migrateObjects(input: {kind: DEVICE, template: "open", ids: ["$Device"]}) { migrated } }`, `mutation { migrateObjects(input: {kind: DEVICE, template: "open", references: ["$DeviceRef"], rehearse: true}) { rehearsal { objects } } }`},
	"deleteTemplate":    {`mutation { deleteTemplate(input: {id: "$Template"}) { deletedId } }`, `mutation { deleteTemplate(input: {kind: DEVICE, name: "$TemplateName"}) { deletedId } }`},
	"profile":           {`{ profile(kind: DEVICE, template: "$TemplateName", name: "$Profile") { id } }`},
	"profiles":          {`{ profiles(kind: DEVICE, template: "$TemplateName") { totalCount nodes { id } } }`},
	"createProfile":     {`mutation { createProfile(input: {kind: DEVICE, template: "$TemplateName", name: "x"}) { profile { id } } }`, `mutation { createProfile(input: {kind: DEVICE, template: "open", name: "x", relations: [{name: "located_at", groups: ["$Path"]}]}) { profile { id } } }`},
	"updateProfile":     {`mutation { updateProfile(input: {kind: DEVICE, template: "$TemplateName", name: "$Profile", description: "x"}) { profile { id } } }`, `mutation { updateProfile(input: {id: "$Policy", description: "x"}) { profile { id } } }`},
	"deleteProfile":     {`mutation { deleteProfile(input: {kind: DEVICE, template: "$TemplateName", name: "$Profile"}) { deletedId } }`},
	"createGroup":       {`mutation { createGroup(input: {parent: "$Path", name: "x"}) { group { id } } }`, `mutation { createGroup(input: {name: "x", template: "$TemplateName"}) { group { id } } }`},
	"createGroups":      {`mutation { createGroups(input: {groups: [{parent: "$Path", name: "x"}, {name: "y", template: "$TemplateName"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"updateGroup":       {`mutation { updateGroup(input: {id: "$Group", description: "x"}) { group { id } } }`, `mutation { updateGroup(input: {path: "$Path", description: "x"}) { group { id } } }`},
	"moveGroup":         {`mutation { moveGroup(input: {id: "$Group", name: "x"}) { moved } }`, `mutation { moveGroup(input: {path: "$Path", name: "x"}) { moved } }`, `mutation { moveGroup(input: {path: "/own", parent: "$Path"}) { moved } }`, `mutation { moveGroup(input: {id: "$Group", parent: "/own", rehearse: true}) { rehearsal { twins } } }`},
	"deleteGroup":       {`mutation { deleteGroup(input: {id: "$Group", cascade: true}) { deletedId } }`, `mutation { deleteGroup(input: {id: "$Group"}) { deletedId } }`, `mutation { deleteGroup(input: {path: "$Path"}) { deletedId } }`},
	"createDevice":      {`mutation { createDevice(input: {reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}) { device { id } } }`, `mutation { createDevice(input: {reference: "x", template: "$TemplateName"}) { device { id } } }`},
	"updateDevice":      {`mutation { updateDevice(input: {id: "$Device", description: "x"}) { device { id } } }`, `mutation { updateDevice(input: {reference: "$DeviceRef", description: "x"}) { device { id } } }`},
	"deleteDevice":      {`mutation { deleteDevice(input: {id: "$Device"}) { deletedId } }`, `mutation { deleteDevice(input: {reference: "$DeviceRef"}) { deletedId } }`},
	"createDevices":     {`mutation { createDevices(input: {devices: [{reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}, {reference: "y", template: "$TemplateName"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"updateDevices":     {`mutation { updateDevices(input: {devices: [{id: "$Device", description: "x"}, {reference: "$DeviceRef", description: "x"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"updateGroups":      {`mutation { updateGroups(input: {groups: [{id: "$Group", description: "x"}, {path: "$Path", description: "x"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"deleteGroups":      {`mutation { deleteGroups(input: {ids: ["$Group"], paths: ["$Path"]}) { succeeded results { object { __typename } error { code message } } } }`},
	"deleteDevices":     {`mutation { deleteDevices(input: {ids: ["$Device"], references: ["$DeviceRef"]}) { succeeded results { object { __typename } error { code message } } } }`},
	"createAsset":       {`mutation { createAsset(input: {reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}) { asset { id } } }`},
	"updateAsset":       {`mutation { updateAsset(input: {id: "$Asset", description: "x"}) { asset { id } } }`, `mutation { updateAsset(input: {reference: "$AssetRef", description: "x"}) { asset { id } } }`},
	"deleteAsset":       {`mutation { deleteAsset(input: {id: "$Asset"}) { deletedId } }`, `mutation { deleteAsset(input: {reference: "$AssetRef"}) { deletedId } }`},
	"createAssets":      {`mutation { createAssets(input: {assets: [{reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}, {reference: "y", template: "$TemplateName"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"updateAssets":      {`mutation { updateAssets(input: {assets: [{id: "$Asset", description: "x"}, {reference: "$AssetRef", description: "x"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"deleteAssets":      {`mutation { deleteAssets(input: {ids: ["$Asset"], references: ["$AssetRef"]}) { succeeded results { object { __typename } error { code message } } } }`},
	"upsertDevice":      {`mutation { upsertDevice(input: {reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}) { device { id } } }`, `mutation { upsertDevice(input: {reference: "x", template: "$TemplateName"}) { device { id } } }`},
	"upsertAsset":       {`mutation { upsertAsset(input: {reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}) { asset { id } } }`, `mutation { upsertAsset(input: {reference: "x", partOf: "$AssetRef"}) { asset { id } } }`},
	"upsertDevices":     {`mutation { upsertDevices(input: {devices: [{reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}, {reference: "y", template: "$TemplateName"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"upsertAssets":      {`mutation { upsertAssets(input: {assets: [{reference: "x", relations: [{name: "located_at", groups: ["$Path"]}]}, {reference: "y", template: "$TemplateName"}]}) { succeeded results { object { __typename } error { code message } } } }`},
	"updateMeasureType": {`mutation { updateMeasureType(input: {name: "$Type", description: "x"}) { measureType { id } } }`},
	"deleteMatching":    {`mutation { deleteMatching(input: {under: "$Path"}) { deleted } }`, `mutation { deleteMatching(input: {where: "id == '$Device'"}) { deleted } }`},
	"updateMatching":    {`mutation { updateMatching(input: {under: "$Path", patch: {description: "x"}}) { updated } }`, `mutation { updateMatching(input: {where: "reference in ['$DeviceRef', '$AssetRef']", patch: {description: "x"}}) { updated } }`},
	"createPolicy":      {`mutation { createPolicy(input: {reference: "x", type: "t", document: {}, appliesTo: ["$Path"]}) { policy { id } } }`},
	"updatePolicy":      {`mutation { updatePolicy(input: {id: "$Policy", type: "x"}) { policy { id } } }`, `mutation { updatePolicy(input: {reference: "$PolicyRef", type: "x"}) { policy { id } } }`},
	"deletePolicy":      {`mutation { deletePolicy(input: {id: "$Policy"}) { deletedId } }`, `mutation { deletePolicy(input: {reference: "$PolicyRef", rehearse: true}) { rehearsal { twins } } }`, `mutation { deletePolicy(input: {reference: "$PolicyRef"}) { deletedId } }`},
	"relate":            {`mutation { relate(input: {from: {device: "own"}, relation: "located_at", to: {id: "$Group"}}) { to { ... on Group { id } } } }`, `mutation { relate(input: {from: {id: "$Device"}, relation: "located_at", to: {group: "/"}}) { to { ... on Group { id } } } }`},
	"unrelateAll":       {`mutation { unrelateAll(input: {from: {id: "$Device"}}) { ended } }`, `mutation { unrelateAll(input: {from: {group: "$Path"}}) { ended } }`},
	"createComponent":   {`mutation { createComponent(input: {deviceId: "$Device", component: {name: "x"}}) { component { id } } }`, `mutation { createComponent(input: {device: "$DeviceRef", component: {name: "x"}}) { component { id } } }`},
	"deleteComponent":   {`mutation { deleteComponent(input: {id: "$Device"}) { deletedId } }`, `mutation { deleteComponent(input: {device: "$DeviceRef", name: "x"}) { deletedId } }`},
	"unrelate":          {`mutation { unrelate(input: {from: {id: "$Device"}, relation: "located_at", to: {id: "$Group"}}) { to { ... on Group { id } } } }`},
	"linkDevice":        {`mutation { linkDevice(input: {device: "own", asset: "$AssetRef", measures: [{device: "t", asset: "t"}]}) { link { id } } }`, `mutation { linkDevice(input: {device: "$DeviceRef", asset: "$AssetRef", measures: [{device: "t", asset: "t"}]}) { link { id } } }`},
	"replaceDevice":     {`mutation { replaceDevice(input: {asset: "$AssetRef", from: "$DeviceRef", to: "own"}) { link { id } } }`},
	"unlinkDevice":      {`mutation { unlinkDevice(input: {device: "$DeviceRef", asset: "$AssetRef"}) { link { id } } }`},
	"command":           {`{ command(id: "$Device") { id } }`},
	"alarms":            {`{ alarms(under: "$Path") { nodes { id } } }`, `{ alarms(where: "id == '$Device'") { nodes { id } } }`},
	"setDesired":        {`mutation { setDesired(input: {device: "$DeviceRef", values: {temperature: 1}}) { desired { version } } }`, `mutation { setDesired(input: {id: "$Asset", values: {temperature: 1}}) { desired { version } } }`},
	"sendCommand":       {`mutation { sendCommand(input: {device: "$DeviceRef", name: "reboot"}) { command { id } } }`, `mutation { sendCommand(input: {deviceId: "$Device", name: "reboot"}) { command { id } } }`},
	"cancelCommand":     {`mutation { cancelCommand(input: {id: "$Device"}) { command { id } } }`},
	"acknowledgeAlarm":  {`mutation { acknowledgeAlarm(input: {id: "$Device"}) { alarm { id } } }`},
	"reprocess":         {`mutation { reprocess(input: {device: "$DeviceRef"}) { payloads } }`, `mutation { reprocess(input: {device: "$DeviceRef", rehearse: true}) { payloads token } }`},
	"prunePayloads":     {`mutation { prunePayloads(input: {template: "$TemplateName"}) { pruned } }`, `mutation { prunePayloads(input: {all: true}) { pruned } }`},
	"recordReadings":    {`mutation { recordReadings(input: {readings: [{device: "$DeviceRef", values: {temperature: 1}}]}) { accepted } }`},
}

// TestBorder tries every query and mutation from one account on the things of
// another: the answer must be that for something that does not exist.
func TestBorder(t *testing.T) {
	t.Parallel()
	owner, account := newAccount(t)
	d := loadDemo(t, owner, account)
	ask[any](t, owner, `mutation { createProfile(input: {kind: DEVICE, template: "climate_sensor", name: "usual"}) { profile { id } } }`, nil)
	readings := demoReadingsAt(d.now().UTC().Truncate(time.Millisecond))
	if err := d.sendHTTP(t.Context(), readings); err != nil {
		t.Fatal(err)
	}
	if err := d.waitStored(t.Context(), readings); err != nil {
		t.Fatal(err)
	}
	things := thingsOf(t, owner)
	before := ask[any](t, owner, snapshot, nil)

	stranger, _ := newAccount(t)
	ask[any](t, stranger, `mutation { createDevice(input: {reference: "own"}) { device { id } } createGroup(input: {name: "own"}) { group { id } } }`, nil)

	for _, field := range rootFields(t, owner) {
		operations, known := reaches[field]
		if !known {
			t.Errorf("the field %s of the root is not tried across the border", field)
		}
		for _, operation := range operations {
			got := reach(t, stranger, operation, things)
			want := reach(t, stranger, operation, absentThings())
			if got != want {
				t.Errorf("%s\n got %s\nwant %s", operation, got, want)
			}
		}
	}
	if diff := cmp.Diff(before, ask[any](t, owner, snapshot, nil)); diff != "" {
		t.Errorf("the owner's things have changed: %s", diff)
	}
}

const snapshot = `{
	groups(first: 100) { nodes { id path version description } }
	devices { nodes { id reference version groups { path } policyReferences links { id until } } }
	assets { nodes { id reference version description } }
	policies { nodes { id reference version appliesTo { path } } }
	templates { nodes { id name status } }
	measureTypes { nodes { id name } }
	profiles { nodes { id name version } }
	deadLetters { totalCount }
}`

func thingsOf(t *testing.T, owner apiClient) foreign {
	t.Helper()
	type named struct{ ID, Reference, Path, Name string }
	found := ask[struct {
		Viewer struct {
			Account named
			Key     named
		}
		Group, Template, Device, Asset, Policy, MeasureType named
	}](t, owner, `{
		viewer { account { id } key { id } }
		group(path: "/location/china") { id path }
		device(reference: "climate-denver-1") { id reference }
		asset(reference: "room-denver-1") { id reference }
		template(kind: DEVICE, name: "climate_sensor") { id name }
		policy(reference: "keep-in-china") { id reference }
		measureType(name: "temperature") { id name }
	}`, nil)
	return foreign{
		Account: found.Viewer.Account.ID, Key: found.Viewer.Key.ID, Group: found.Group.ID, Device: found.Device.ID,
		Asset: found.Asset.ID, Template: found.Template.ID, Policy: found.Policy.ID,
		Path: found.Group.Path, DeviceRef: found.Device.Reference, AssetRef: found.Asset.Reference,
		TemplateName: found.Template.Name, PolicyRef: found.Policy.Reference, Type: found.MeasureType.Name, Profile: "usual",
	}
}

// reach runs an operation with things filled in and returns the answer with
// them taken out again.
func reach(t *testing.T, c apiClient, operation string, things foreign) string {
	t.Helper()
	raw, err := json.Marshal(things)
	if err != nil {
		t.Fatal(err)
	}
	var byName map[string]string
	if err := json.Unmarshal(raw, &byName); err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(maps.Keys(byName))
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // $DeviceRef before $Device
	for _, name := range names {
		operation = strings.ReplaceAll(operation, "$"+name, byName[name])
	}
	body, err := json.Marshal(map[string]string{"query": operation})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.post(t.Context(), "/graphql", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatal(err)
	}
	text := string(response.Data) + string(response.Errors)
	for _, name := range names {
		text = strings.ReplaceAll(text, byName[name], "$"+name)
	}
	return text
}

// rootFields lists the fields of Query and Mutation; those of Subscription have
// a test of their own.
func rootFields(t *testing.T, c apiClient) []string {
	t.Helper()
	type fields struct{ Fields []struct{ Name string } }
	found := ask[struct {
		Schema struct{ QueryType, MutationType fields } `json:"__schema"`
	}](t, c, `{ __schema { queryType { fields { name } } mutationType { fields { name } } } }`, nil)
	var names []string
	for _, f := range slices.Concat(found.Schema.QueryType.Fields, found.Schema.MutationType.Fields) {
		names = append(names, f.Name)
	}
	return names
}

// TestBoundKey holds a key that is bound to a device to sending its readings.
func TestBoundKey(t *testing.T) {
	t.Parallel()
	owner, account := newAccount(t)
	loadDemo(t, owner, account)
	bound := clientOf(t, account, "climate-denver-1")
	refused(t, bound, "FORBIDDEN", `{ devices { totalCount } }`, nil)
	refused(t, bound, "FORBIDDEN", `{ ...all } fragment all on Query { d: device(reference: "climate-denver-1") { id } }`, nil)
	refused(t, bound, "FORBIDDEN", `mutation { deleteDevice(input: {reference: "climate-denver-1"}) { deletedId } }`, nil)
	who := ask[struct {
		Viewer struct{ Account struct{ Name string } }
	}](t, bound, `{ viewer { account { name } } }`, nil)
	if who.Viewer.Account.Name != account {
		t.Errorf("the viewer's account is %q, want %q", who.Viewer.Account.Name, account)
	}
	ask[any](t, bound, `mutation { recordReadings(input: {readings: [{device: "climate-denver-1", values: {temperature: 20.5}}]}) { accepted } }`, nil)
	if err := bound.query(t.Context(), `mutation { recordReadings(input: {readings: [{device: "climate-denver-2", values: {temperature: 20.5}}]}) { accepted } }`, nil, nil); err == nil {
		t.Error("a bound key sent a reading of another device")
	}
}

// TestNoKey lets nobody in without a key.
func TestNoKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "hk_" + strings.Repeat("A", 43), "nonsense"} {
		_, err := (apiClient{url: holon.url, key: key}).post(t.Context(), "/graphql", "application/json", []byte(`{"query":"{ viewer { account { name } } }"}`))
		if err == nil || !strings.HasPrefix(err.Error(), "401") {
			t.Errorf("GraphQL with key %q: %v, want 401", key, err)
		}
		_, err = (apiClient{url: holon.url, key: key}).post(t.Context(), "/v1/readings", "application/json", []byte(`{"device":"x","values":{"a":1}}`))
		if err == nil || !strings.HasPrefix(err.Error(), "401") {
			t.Errorf("readings with key %q: %v, want 401", key, err)
		}
	}
}
