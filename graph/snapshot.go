package graph

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// A snapshot is an object as history keeps it: what the API shows of the object
// itself, as JSON. Its edges have a history of their own.

// objectSnapshot is what the snapshots of all objects hold.
func objectSnapshot(o registry.Object, more map[string]any) map[string]any {
	out := map[string]any{"id": string(o.ID), "version": o.Version, "createdAt": moment(o.CreatedAt), "updatedAt": moment(o.UpdatedAt)}
	for name, value := range more {
		switch pointer := value.(type) {
		case *string:
			if pointer == nil {
				continue
			}
			value = *pointer
		case *bool:
			if pointer == nil {
				continue
			}
			value = *pointer
		}
		out[name] = value
	}
	return out
}

// templateLabel says in a snapshot which version of a template an object is an
// instance of.
func templateLabel(t *registry.Template) map[string]any {
	return map[string]any{"id": string(t.ID), "name": t.Name, "version": t.Version}
}

// thingSnapshot is the snapshot of a group, a device or an asset.
func thingSnapshot(thing registry.Related, template *registry.Template) map[string]any {
	switch t := thing.(type) {
	case *registry.Group:
		return objectSnapshot(t.Object, map[string]any{
			"name": t.Name, "path": t.Path, "depth": t.Depth, "parent": string(t.ParentID),
			"description": t.Description, "template": templateLabel(template), "attributes": t.Attributes,
		})
	case *registry.Device:
		return objectSnapshot(t.Object, map[string]any{
			"reference": t.Reference, "state": string(t.State), "description": t.Description,
			"template": templateLabel(template), "attributes": t.Attributes, "componentName": t.ComponentName,
			"externalReference": t.ExternalReference, "imageUrl": t.ImageURL, "connected": t.Connected,
		})
	}
	a := thing.(*registry.Asset)
	return objectSnapshot(a.Object, map[string]any{
		"reference": a.Reference, "state": string(a.State), "description": a.Description,
		"template": templateLabel(template), "attributes": a.Attributes,
		"externalReference": a.ExternalReference, "imageUrl": a.ImageURL, "connected": a.Connected,
	})
}

// policySnapshot is the snapshot of a policy; of its groups it holds the ids.
func policySnapshot(p *registry.Policy) map[string]any {
	return objectSnapshot(p.Object, map[string]any{
		"reference": p.Reference, "type": p.Type, "description": p.Description, "document": p.Document, "appliesTo": texts(p.GroupIDs),
	})
}

// templateSnapshot is the snapshot of one version of a template.
func templateSnapshot(t *registry.Template) map[string]any {
	out := map[string]any{
		"id": string(t.ID), "kind": string(t.Kind), "name": t.Name, "version": t.Version, "status": string(t.Status),
		"properties": t.Properties, "required": listed(t.Required), "relations": listed(t.Relations), "measures": listed(t.Measures),
		"components": listed(t.Components), "searched": listed(t.Searched), "createdAt": moment(t.CreatedAt),
	}
	if t.SilenceSeconds > 0 {
		out["silenceSeconds"] = t.SilenceSeconds
	}
	if t.OneAsset {
		out["oneAsset"] = true
	}
	if t.Provisioning != "" {
		out["provisioning"] = string(t.Provisioning)
	}
	if len(t.Reported) > 0 {
		out["reported"] = t.Reported
	}
	if len(t.Annotations) > 0 {
		out["annotations"] = t.Annotations
	}
	if len(t.Commands) > 0 {
		out["commands"] = t.Commands
	}
	if len(t.Alarms) > 0 {
		out["alarms"] = t.Alarms
	}
	if t.Decoder != nil {
		out["decoder"] = t.Decoder
	}
	if t.Description != nil {
		out["description"] = *t.Description
	}
	if t.PublishedAt != nil {
		out["publishedAt"] = moment(*t.PublishedAt)
	}
	return out
}

// listed is a list, empty if there is none: so it is the same list in JSON.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// measureTypeSnapshot is the snapshot of a measure type.
func measureTypeSnapshot(m *registry.MeasureType) map[string]any {
	own := map[string]any{
		"name": m.Name, "valueType": string(m.ValueType), "values": listed(m.Values), "fields": listed(m.Fields), "unit": m.Unit, "description": m.Description,
	}
	if len(m.Annotations) > 0 {
		own["annotations"] = m.Annotations
	}
	return objectSnapshot(m.Object, own)
}

// fromSnapshot reads an object of a kind from the JSON text of its snapshot: the
// inverse of the functions above. Fields that have the names of the struct's
// come along by themselves.
func fromSnapshot(f fields, kind registry.ObjectKind) registry.Node {
	values, text := f.plainJSON("after"), f.text("after")
	id := func(of any, name string) registry.ID {
		object, _ := of.(map[string]any)
		id, _ := object[name].(string)
		return registry.ID(id)
	}
	attributes, _ := values["attributes"].(map[string]any)
	if attributes == nil {
		attributes = registry.Attributes{}
	}
	read := func(into registry.Node) registry.Node {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			f.failed("a snapshot of a %s cannot be read: %v", kind, err)
		}
		return into
	}
	switch kind {
	case registry.ObjectGroup:
		g := read(new(registry.Group)).(*registry.Group)
		g.TemplateID, g.ParentID, g.Attributes = id(values["template"], "id"), id(values, "parent"), attributes
		return g
	case registry.ObjectDevice:
		d := read(new(registry.Device)).(*registry.Device)
		d.TemplateID, d.Attributes = id(values["template"], "id"), attributes
		return d
	case registry.ObjectAsset:
		a := read(new(registry.Asset)).(*registry.Asset)
		a.TemplateID, a.Attributes = id(values["template"], "id"), attributes
		return a
	case registry.ObjectPolicy:
		p := read(new(registry.Policy)).(*registry.Policy)
		p.Document, _ = values["document"].(map[string]any)
		groups, _ := values["appliesTo"].([]any)
		for _, group := range groups {
			if id, ok := group.(string); ok {
				p.GroupIDs = append(p.GroupIDs, registry.ID(id))
			}
		}
		return p
	case registry.ObjectProfile:
		p := read(new(registry.Profile)).(*registry.Profile)
		p.TemplateName, _ = values["template"].(string)
		p.Attributes, p.Ends = attributes, endsThen(f)
		return p
	case registry.ObjectTemplate:
		return read(new(registry.Template))
	case registry.ObjectMeasureType:
		return read(new(registry.MeasureType))
	}
	return nil
}

func moment(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// notCompared change with every change.
var notCompared = map[string]bool{"version": true, "updatedAt": true}

// compare lists what is different in two snapshots, by path.
func compare(before, after map[string]any) []registry.Difference {
	var out []registry.Difference
	compareMaps("", before, after, &out)
	return out
}

func compareMaps(prefix string, before, after map[string]any, out *[]registry.Difference) {
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		path := strings.TrimPrefix(prefix+"."+name, ".")
		if notCompared[path] || reflect.DeepEqual(before[name], after[name]) {
			continue
		}
		was, inner1 := before[name].(map[string]any)
		is, inner2 := after[name].(map[string]any)
		if inner1 && inner2 || inner1 && after[name] == nil && path == "attributes" || inner2 && before[name] == nil && path == "attributes" {
			compareMaps(path, was, is, out)
			continue
		}
		*out = append(*out, registry.Difference{Path: path, Before: before[name], After: after[name]})
	}
}

// relationDifference tells of a relation that was made (or, if it ended, is no
// more).
func relationDifference(name string, other registry.Related, made bool) registry.Difference {
	return farEnd{kindOf(other), keyOf(other), other.NodeID()}.difference(name, made)
}

// farEnd is what a change tells of the object that a relation leads to.
type farEnd struct {
	kind registry.Kind
	key  string
	id   registry.ID
}

func (e farEnd) difference(name string, made bool) registry.Difference {
	end := map[string]any{"direction": string(registry.DirectionOut), "kind": string(e.kind), "key": e.key, "id": string(e.id)}
	d := registry.Difference{Path: "relations." + name, Before: end}
	if made {
		d.Before, d.After = nil, end
	}
	return d
}

// objectKind is the kind of a thing in the journal.
func objectKind(thing registry.Related) registry.ObjectKind {
	return registry.ObjectKind(kindOf(thing))
}
