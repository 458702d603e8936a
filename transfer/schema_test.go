package transfer_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

const schemaFile = "../docs/holon-export.schema.json"

// TestSchemaDescribesFiles holds the published schema to real files: every line
// is as it says, and everything that it knows of occurs in lines.
func TestSchemaDescribesFiles(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.fill()
	var b bytes.Buffer
	from := w.measured()
	e := &transfer.Exporter{Source: w.Store, Scope: w.scope, Dir: t.TempDir(), Measurements: &transfer.Interval{From: &from, To: nil}}
	if _, err := e.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[string]bool{}
	for i, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			t.Errorf("line %d: %v\n%s", i+1, err, line)
		}
		kind, fields, err := fieldsOf(line)
		if err != nil {
			t.Fatal(err)
		}
		if seen[kind] == nil {
			seen[kind] = map[string]bool{}
		}
		for name := range fields {
			seen[kind][name] = true
		}
	}
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	for kind, def := range described.Defs {
		if def.Properties["record"] == nil {
			continue
		}
		for name := range def.Properties {
			if name != "record" && !seen[kind][name] && !seldom[kind+"."+name] {
				t.Errorf("no %s of the file has a %s", kind, name)
			}
		}
	}
}

// seldom lists what the file of the test does not have.
var seldom = map[string]bool{
	// The store writes no name of the open template, and orders relations so that
	// none of a group stands in its own line.
	"group.relations": true,
	"relation.tag":    true, "relation.assets": true,
}

// carried lists, for each noun, its fields and the fields of its record that
// carry them. A field that is in no record is lost in a backup.
var carried = map[reflect.Type]map[string]string{
	reflect.TypeFor[registry.Group]():   {"Object": "Stamp", "Name": "Path", "Depth": "Path", "ParentID": "Path", "TemplateID": "TemplateVersion"},
	reflect.TypeFor[registry.Device]():  {"Object": "Stamp", "TemplateID": "TemplateVersion", "Details": "ExternalReference", "ComponentDepth": "ComponentOf"},
	reflect.TypeFor[registry.Asset]():   {"Object": "Stamp", "TemplateID": "TemplateVersion", "Details": "ExternalReference"},
	reflect.TypeFor[registry.Details](): {},
	// The built-in templates, which are open, are in every account.
	reflect.TypeFor[registry.Template]():    {"ID": "Stamp", "CreatedAt": "Stamp", "Open": "Name"},
	reflect.TypeFor[registry.MeasureType](): {"Object": "Stamp"},
	reflect.TypeFor[registry.Policy]():      {"Object": "Stamp", "GroupIDs": "AppliesTo"},
	reflect.TypeFor[registry.Profile]():     {"Object": "Stamp", "TemplateName": "Template", "Ends": "Relations"},
	reflect.TypeFor[registry.Link]():        {"DeviceID": "Device", "DeviceReference": "Device", "AssetID": "Asset", "AssetReference": "Asset"},
	reflect.TypeFor[registry.Alarm]():       {"TwinID": "Device", "Reference": "Device", "AcknowledgedByID": "AcknowledgedBy", "AcknowledgedByName": "AcknowledgedBy"},
	reflect.TypeFor[registry.Command]():     {"DeviceID": "Device", "Reference": "Device"},
	reflect.TypeFor[registry.Object]():      {},
}

var records = map[reflect.Type]reflect.Type{
	reflect.TypeFor[registry.Group]():       reflect.TypeFor[registry.ThingRecord](),
	reflect.TypeFor[registry.Device]():      reflect.TypeFor[registry.ThingRecord](),
	reflect.TypeFor[registry.Asset]():       reflect.TypeFor[registry.ThingRecord](),
	reflect.TypeFor[registry.Details]():     reflect.TypeFor[registry.ThingRecord](),
	reflect.TypeFor[registry.Template]():    reflect.TypeFor[registry.TemplateRecord](),
	reflect.TypeFor[registry.MeasureType](): reflect.TypeFor[registry.MeasureTypeRecord](),
	reflect.TypeFor[registry.Policy]():      reflect.TypeFor[registry.PolicyRecord](),
	reflect.TypeFor[registry.Profile]():     reflect.TypeFor[registry.ProfileRecord](),
	reflect.TypeFor[registry.Link]():        reflect.TypeFor[registry.LinkRecord](),
	reflect.TypeFor[registry.Alarm]():       reflect.TypeFor[registry.AlarmRecord](),
	reflect.TypeFor[registry.Command]():     reflect.TypeFor[registry.CommandRecord](),
	reflect.TypeFor[registry.Object](): reflect.TypeFor[struct {
		registry.Stamp
		registry.Revision
	}](),
}

func TestRecordsCarryEveryField(t *testing.T) {
	for noun, record := range records {
		for i := range noun.NumField() {
			name := noun.Field(i).Name
			if name == "AsOf" || name == "Moving" {
				continue // at which moment an object was looked at, and how far it was then
			}
			by := name
			if other, ok := carried[noun][name]; ok {
				by = other
			}
			if _, ok := record.FieldByName(by); !ok {
				t.Errorf("%s.%s is carried by no field of %s: a file would lose it", noun, name, record)
			}
		}
	}
}

// TestExampleIsImported imports the file that the documentation shows.
func TestExampleIsImported(t *testing.T) {
	text, err := os.ReadFile("testdata/small.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	sum, err := (&transfer.Importer{Target: w.restorer(), Recorder: &kept{}}).Import(t.Context(), transfer.Lines(bytes.NewReader(text), 0, 0), transfer.Sum{})
	if err != nil || sum.Refused > 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	kinds := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		kind, _, err := fieldsOf(line)
		if err != nil {
			t.Fatal(err)
		}
		kinds[kind] = true
	}
	if len(kinds) != 16 {
		t.Errorf("the example shows %v", slices.Sorted(maps.Keys(kinds)))
	}
}
