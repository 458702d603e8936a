package transfer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// template converts a template.
func (c *cdf) template(o object, notes *[]string) []registry.Record {
	n := names{notes}
	id := strings.ToLower(o.text("templateId"))
	kind := c.kinds[id]
	t := &registry.TemplateRecord{
		Kind: kind, Name: n.template(id), Version: 1, Status: registry.TemplatePublished, Description: o.optional("description"),
		Properties: map[string]any{},
	}
	for _, name := range slices.Sorted(maps.Keys(o.object("properties"))) {
		t.Properties[n.attribute(kind, name)] = cdfSchema(n, "property "+name, o.object("properties")[name])
	}
	for _, name := range o.list("required") {
		if name, ok := name.(string); ok {
			quiet := names{new([]string)}
			if name = quiet.attribute(kind, name); t.Properties[name] == nil {
				n.note("required %q is no property and is left out", name)
				continue
			}
			t.Required = append(t.Required, name)
		}
	}
	for _, direction := range []registry.Direction{registry.DirectionOut, registry.DirectionIn} {
		relations := o.object("relations").object(strings.ToLower(string(direction)))
		for _, name := range slices.Sorted(maps.Keys(relations)) {
			t.Relations = append(t.Relations, c.rules(n, kind, name, direction, relations.list(name))...)
		}
	}
	for _, component := range o.list("components") {
		if id, ok := component.(string); ok {
			t.Components = append(t.Components, names{new([]string)}.template(strings.ToLower(id)))
		}
	}
	return []registry.Record{t}
}

// rules converts one relation of a template: a rule for each kind of its
// targets.
func (c *cdf) rules(n names, kind registry.Kind, name string, direction registry.Direction, targets []any) []registry.RelationRule {
	if kind == registry.KindGroup && name == "parent" {
		n.note("relation parent is the hierarchy, which needs no rule")
		return nil
	}
	byKind := map[registry.Kind]*registry.RelationRule{}
	rule := n.relation(name)
	for _, target := range targets {
		id, _ := target.(string)
		if of, ok := target.(map[string]any); ok {
			id = object(of).text("name")
			if of["includeInAuth"] != nil {
				n.note("relation %s to %s: includeInAuth has no counterpart", name, id)
			}
		}
		id = strings.ToLower(id)
		of, known := c.kinds[id]
		if !known {
			n.note("relation %s: its target %q is not among the templates and is left out", name, id)
			continue
		}
		if byKind[of] == nil {
			byKind[of] = &registry.RelationRule{Name: rule, Direction: direction, Kind: of, Inherits: true}
		}
		if id == "root" {
			id = registry.OpenTemplate
		} else {
			id = names{new([]string)}.template(id)
		}
		byKind[of].Templates = append(byKind[of].Templates, id)
	}
	var out []registry.RelationRule
	for _, of := range registry.Kinds {
		if byKind[of] != nil {
			out = append(out, *byKind[of])
		}
	}
	return out
}

func (c *cdf) templateOf(o object) string {
	id := strings.ToLower(o.text("templateId"))
	if id == "" || id == "root" {
		return ""
	}
	return names{new([]string)}.template(id)
}

func (c *cdf) attributes(n names, kind registry.Kind, o object) registry.Attributes {
	out := registry.Attributes{}
	for _, name := range slices.Sorted(maps.Keys(o.object("attributes"))) {
		out[n.attribute(kind, name)] = o.object("attributes")[name]
	}
	return out
}

// group converts a group, without its relations.
func (c *cdf) group(o object, notes *[]string) []registry.Record {
	n := names{notes}
	return []registry.Record{&registry.ThingRecord{
		Kind: registry.KindGroup, Path: cdfPath(o), Description: o.optional("description"), Template: c.templateOf(o),
		Attributes: c.attributes(n, registry.KindGroup, o),
	}}
}

// groupRelations converts the relations of a group to others.
func (c *cdf) groupRelations(o object, notes *[]string) []registry.Record {
	return c.relationsOf(registry.KindGroup, cdfPath(o), o, "groups", registry.KindGroup, notes)
}

// device converts a device, with its relations to groups.
func (c *cdf) device(o object, notes *[]string) []registry.Record {
	n := names{notes}
	d := &registry.ThingRecord{
		Kind: registry.KindDevice, Reference: o.text("deviceId"), Description: o.optional("description"), Template: c.templateOf(o),
		Attributes: c.attributes(n, registry.KindDevice, o),
	}
	switch state := strings.ToLower(o.text("state")); state {
	case "unprovisioned", "active", "decommissioned", "retired":
		d.State = registry.State(strings.ToUpper(state))
	case "decommisioned":
		d.State = registry.StateDecommissioned
	case "":
		d.State = registry.StateUnprovisioned
	default:
		d.State = registry.State(state) // refused, with the reason
	}
	d.ImageURL, d.ExternalReference = o.optional("imageUrl"), o.optional("awsIotThingArn")
	switch connected := o["connected"].(type) {
	case nil:
	case bool:
		d.Connected = &connected
	default:
		n.note("connected %q is neither true nor false and is left out", fmt.Sprint(connected))
	}
	out, _ := directions(o.object("groups"))
	for _, name := range slices.Sorted(maps.Keys(out)) {
		relation := registry.RelationsRecord{Name: n.relation(name)}
		for _, path := range ends(out[name]) {
			relation.Add(registry.KindGroup, path)
		}
		if len(relation.Groups) > 0 {
			d.Relations = append(d.Relations, relation)
		}
	}
	records := []registry.Record{d}
	for _, component := range o.list("components") {
		if component, ok := component.(map[string]any); ok {
			records = append(records, c.component(d, component, notes)...)
		}
	}
	return records
}

// component converts a component of a device, and its own.
func (c *cdf) component(of *registry.ThingRecord, o object, notes *[]string) []registry.Record {
	records := c.device(o, notes)
	for _, record := range records {
		d := record.(*registry.ThingRecord)
		if d.ComponentOf == "" {
			d.ComponentOf, d.ComponentName = of.Reference, d.Reference
		} else {
			d.ComponentOf = of.Reference + "/" + d.ComponentOf
		}
		d.Reference = of.Reference + "/" + d.Reference
	}
	return records
}

// deviceRelations converts the relations of a device that do not stand with it.
func (c *cdf) deviceRelations(o object, notes *[]string) []registry.Record {
	key := o.text("deviceId")
	out := c.relationsOf(registry.KindDevice, key, o, "devices", registry.KindDevice, notes)
	return append(out, c.relationsOf(registry.KindDevice, key, object{"groups": map[string]any{"in": o.object("groups")["in"]}}, "groups", registry.KindGroup, notes)...)
}

// relationsOf converts relations in both directions: those that come in begin at
// the others.
func (c *cdf) relationsOf(kind registry.Kind, key string, o object, field string, others registry.Kind, notes *[]string) []registry.Record {
	n := names{notes}
	var records []registry.Record
	out, in := directions(o.object(field))
	for _, name := range slices.Sorted(maps.Keys(out)) {
		if kind == registry.KindGroup && name == "parent" {
			continue
		}
		r := &registry.RelationRecord{From: registry.NewRefRecord(kind, key), RelationsRecord: registry.RelationsRecord{Name: n.relation(name)}}
		for _, other := range ends(out[name]) {
			r.Add(others, other)
		}
		if len(r.Refs()) > 0 {
			records = append(records, r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if kind == registry.KindGroup && name == "parent" {
			continue
		}
		for _, other := range ends(in[name]) {
			r := &registry.RelationRecord{From: registry.NewRefRecord(others, other), RelationsRecord: registry.RelationsRecord{Name: n.relation(name)}}
			r.Add(kind, key)
			records = append(records, r)
		}
	}
	return records
}

// directions tells outgoing relations from incoming ones. Where a map says
// neither, all go out.
func directions(relations object) (out, in object) {
	_, hasOut := relations["out"].(map[string]any)
	_, hasIn := relations["in"].(map[string]any)
	if hasOut || hasIn {
		return relations.object("out"), relations.object("in")
	}
	flat := maps.Clone(relations)
	delete(flat, "in")
	delete(flat, "out")
	return flat, nil
}

// ends are the keys that a relation leads to, which stand there as texts or in
// objects.
func ends(list any) []string {
	var out []string
	for _, end := range (object{"ends": list}).list("ends") {
		switch end := end.(type) {
		case string:
			out = append(out, end)
		case map[string]any:
			for _, name := range []string{"id", "groupPath", "deviceId", "name"} {
				if key := object(end).text(name); key != "" {
					out = append(out, key)
					break
				}
			}
		}
	}
	return out
}

// policy converts a policy. Its document is a text there, and a JSON object
// here.
func (c *cdf) policy(o object, notes *[]string) []registry.Record {
	n := names{notes}
	p := &registry.PolicyRecord{Reference: o.text("policyId"), Type: o.text("type"), Description: o.optional("description")}
	switch document := o["document"].(type) {
	case map[string]any:
		p.Document = document
	case string:
		if err := json.Unmarshal([]byte(document), &p.Document); err != nil || p.Document == nil {
			p.Document = map[string]any{"text": document}
			n.note("the document is no JSON object and stands under text")
		}
	default:
		p.Document = map[string]any{}
	}
	for _, path := range o.list("appliesTo") {
		if path, ok := path.(string); ok {
			p.AppliesTo = append(p.AppliesTo, path)
		}
	}
	return []registry.Record{p}
}

// profile converts a profile, which has relations to groups only.
func (c *cdf) profile(o object, notes *[]string) []registry.Record {
	n := names{notes}
	id := strings.ToLower(o.text("templateId"))
	p := &registry.ProfileRecord{Kind: registry.KindDevice, Template: c.templateOf(o), Name: n.template(o.text("profileId"))}
	if kind, known := c.kinds[id]; known {
		p.Kind = kind
	}
	p.Attributes = c.attributes(n, p.Kind, o)
	out, in := directions(o.object("groups"))
	for _, of := range []struct {
		direction registry.Direction
		relations object
	}{{registry.DirectionOut, out}, {registry.DirectionIn, in}} {
		for _, name := range slices.Sorted(maps.Keys(of.relations)) {
			p.Relations = append(p.Relations, registry.ProfileRelation{Name: n.relation(name), Direction: of.direction, Groups: ends(of.relations[name])})
		}
	}
	return []registry.Record{p}
}
