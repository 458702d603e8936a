package graph

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// wantedThing builds the thing that a record describes.
func (b *restoring) wantedThing(p *thingPlan, object registry.Object, attributes registry.Attributes, targets map[string]restoredThing) []registry.Violation {
	r := p.record
	var violations []registry.Violation
	check := func(v *registry.Violation) {
		if v != nil {
			violations = append(violations, *v)
		}
	}
	check(registry.CheckDescription(r.Description))
	if r.Kind == registry.KindGroup {
		g := &registry.Group{Object: object, Description: r.Description, TemplateID: p.template.ID, Attributes: attributes, Path: r.Path}
		p.wanted = g
		if r.Path == "/" {
			return violations
		}
		g.Name = r.Path[strings.LastIndexByte(r.Path, '/')+1:]
		check(registry.CheckGroupName("path", g.Name))
		parent, ok := targets[refKey(registry.Ref{Kind: r.Kind, Key: parentPath(r.Path)})]
		if !ok || !strings.HasPrefix(r.Path, "/") {
			return append(violations, registry.Violation{Path: "path", Rule: "unknown", Message: fmt.Sprintf("there is no group %q: it has to come before what is in it", parentPath(r.Path))})
		}
		made, err := newGroup(object, registry.NewGroup{Name: g.Name, Description: r.Description}, p.template.Template, attributes, &registry.Group{
			Object: registry.Object{ID: parent.id}, Path: parent.key, Depth: parent.depth,
		})
		if err != nil {
			return append(violations, registry.Violation{Path: "path", Rule: "limit", Message: err.Error()})
		}
		if old, ok := heldGroup(p); ok {
			made.Path, made.Name, made.Depth, made.ParentID = old.Path, old.Name, old.Depth, old.ParentID
		}
		p.wanted = made
		return violations
	}
	check(registry.CheckReference("reference", r.Reference))
	state, reference := r.State, r.Reference
	if state == "" {
		state = registry.StateActive
	}
	if !validState(state) {
		violations = append(violations, registry.Violation{Path: "state", Rule: "enum", Message: fmt.Sprintf("%q is no state", state)})
	}
	if p.held != nil {
		reference = keyOf(p.held.thing)
	}
	details := registry.Details{ExternalReference: r.ExternalReference, ImageURL: r.ImageURL, Connected: r.Connected}
	violations = append(violations, details.Check()...)
	if r.Kind == registry.KindAsset {
		p.wanted = &registry.Asset{Object: object, Reference: reference, Description: r.Description, State: state, TemplateID: p.template.ID, Attributes: attributes, Details: details}
		return violations
	}
	d := &registry.Device{Object: object, Reference: reference, Description: r.Description, State: state, TemplateID: p.template.ID, Attributes: attributes, Details: details}
	p.wanted = d
	if r.ComponentOf != "" || r.ComponentName != "" {
		return append(violations, p.component(d, targets)...)
	}
	if old, ok := heldDevice(p); ok && old.ComponentName != nil {
		violations = append(violations, registry.Violation{Path: "componentOf", Rule: "required", Message: fmt.Sprintf("device %q is a component, which it stays", reference)})
	}
	return violations
}

// component makes a device a component of the one that its record names.
func (p *thingPlan) component(d *registry.Device, targets map[string]restoredThing) []registry.Violation {
	r := p.record
	whole, ok := targets[refKey(registry.Ref{Kind: registry.KindDevice, Key: r.ComponentOf})]
	switch {
	case !ok:
		return []registry.Violation{{Path: "componentOf", Rule: "unknown", Message: fmt.Sprintf("device %q does not exist: it has to come before its components", r.ComponentOf)}}
	case Fold(r.Reference) != Fold(whole.key+"/"+r.ComponentName):
		return []registry.Violation{{Path: "reference", Rule: "component", Message: fmt.Sprintf("is %q for a component", whole.key+"/"+r.ComponentName)}}
	case whole.depth+1 > registry.MaxComponentDepth:
		return []registry.Violation{{Path: "componentOf", Rule: "depth", Message: fmt.Sprintf("a component is within at most %d devices", registry.MaxComponentDepth)}}
	case !whole.template.Component(p.template.Name):
		return []registry.Violation{{
			Path: "template", Rule: "components", Message: fmt.Sprintf("template %s allows no components of template %s", whole.template.Name, p.template.Name),
		}}
	}
	if violation := registry.CheckGroupName("componentName", r.ComponentName); violation != nil {
		return []registry.Violation{*violation}
	}
	d.ComponentName, d.ComponentDepth, p.whole = &r.ComponentName, whole.depth+1, &whole
	if p.held == nil {
		d.Reference = whole.key + "/" + r.ComponentName
		return nil
	}
	old, ok := heldDevice(p)
	if !ok || old.ComponentName == nil {
		return []registry.Violation{{Path: "componentOf", Rule: "conflict", Message: fmt.Sprintf("device %q exists and is no component", r.Reference)}}
	}
	d.ComponentName = old.ComponentName
	return nil
}

func heldDevice(p *thingPlan) (*registry.Device, bool) {
	if p.held == nil {
		return nil, false
	}
	d, ok := p.held.thing.(*registry.Device)
	return d, ok
}

func heldGroup(p *thingPlan) (*registry.Group, bool) {
	if p.held == nil {
		return nil, false
	}
	g, ok := p.held.thing.(*registry.Group)
	return g, ok
}

// restoredEdges checks the relations of a record.
func restoredEdges(source *registry.Template, relations []registry.RelationsRecord, targets map[string]restoredThing) ([]edge, []registry.Violation) {
	var out []edge
	var violations []registry.Violation
	seen := map[string]bool{}
	for i := range relations {
		r := &relations[i]
		path := "relations." + r.Name
		if violation := registry.CheckRelationName(path, r.Name); violation != nil {
			violations = append(violations, *violation)
			continue
		}
		for _, ref := range r.Refs() {
			if ref.Kind == registry.KindGroup {
				ref.Key = cleanPath(ref.Key)
			}
			to, ok := targets[refKey(ref)]
			if !ok {
				violations = append(violations, registry.Violation{Path: path, Rule: "unknown", Message: missing(ref).Error() + ": it has to come before what leads to it"})
				continue
			}
			rule := ruleFor(r.Name, source, to.template.Template)
			if rule == nil {
				violations = append(violations, undeclared(r.Name, source, to.template.Template))
				continue
			}
			e := edge{name: r.Name, other: to.thing(), inherits: rule.Inherits}
			if r.Tag != nil {
				e.inherits = !*r.Tag
			}
			if key := r.Name + " " + string(to.id); !seen[key] {
				seen[key] = true
				out = append(out, e)
			}
		}
	}
	return out, violations
}

// thing is as much of the thing as a relation to it tells.
func (t restoredThing) thing() registry.Related {
	o := registry.Object{ID: t.id, Version: t.version}
	switch t.kind {
	case registry.KindGroup:
		return &registry.Group{Object: o, Path: t.key, Depth: t.depth}
	case registry.KindDevice:
		return &registry.Device{Object: o, Reference: t.key}
	}
	return &registry.Asset{Object: o, Reference: t.key}
}

// sameNode compares what a node holds with what it is to hold, but for what
// every change changes.
func sameNode(held fields, wanted map[string]any) bool {
	same := func(name string) bool {
		switch name {
		case "id", "account", "version", "createdAt", "updatedAt":
			return true
		}
		return equalValues(held.object[name], wanted[name])
	}
	for name := range wanted {
		if !same(name) {
			return false
		}
	}
	for name := range held.object {
		if !same(name) {
			return false
		}
	}
	return true
}

func equalValues(x, y any) bool { return reflect.DeepEqual(pointed(x), pointed(y)) }

// pointed is a value as the database has it: null for a pointer to nothing, and
// whole numbers as int64.
func pointed(v any) any {
	switch p := v.(type) {
	case *string:
		if p == nil {
			return nil
		}
		return *p
	case *bool:
		if p == nil {
			return nil
		}
		return *p
	case int:
		return int64(p)
	}
	return v
}
