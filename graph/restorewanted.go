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
	if r.Kind == registry.KindDevice {
		p.wanted = &registry.Device{Object: object, Reference: reference, Description: r.Description, State: state, TemplateID: p.template.ID, Attributes: attributes}
	} else {
		p.wanted = &registry.Asset{Object: object, Reference: reference, Description: r.Description, State: state, TemplateID: p.template.ID, Attributes: attributes}
	}
	return violations
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

func equalValues(x, y any) bool {
	if text, ok := y.(*string); ok {
		y = nil
		if text != nil {
			y = *text
		}
	}
	if text, ok := x.(*string); ok {
		x = nil
		if text != nil {
			x = *text
		}
	}
	return reflect.DeepEqual(plainNumbers(x), plainNumbers(y))
}

// plainNumbers makes whole numbers int64, as the database has them.
func plainNumbers(v any) any {
	if n, ok := v.(int); ok {
		return int64(n)
	}
	return v
}
