package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sync"

	"github.com/holon-registry/holon/examples/internal/api"
)

// writers is how many objects are written at a time.
const writers = 4

// loader writes work into Holon.
type loader struct {
	client *api.Client
	// present has what can be the end of a relation by now.
	present map[name]bool
	// open are the facts that are still to be written, by where they start.
	open map[*thing][]*fact
}

// write does the work: what others stand on comes first, so that most relations
// are made together with their objects.
func write(ctx context.Context, client *api.Client, s *state, w *work) error {
	l := &loader{client: client, present: map[name]bool{}, open: map[*thing][]*fact{}}
	for n := range s.objects {
		l.present[n] = true
	}
	for _, f := range w.facts {
		l.open[f.from] = append(l.open[f.from], f)
	}
	for _, t := range w.templates {
		if err := l.template(ctx, t); err != nil {
			return fmt.Errorf("template %s: %w", t.class, err)
		}
	}
	for _, level := range byLevel(w.groups) {
		if err := l.stage(ctx, level); err != nil {
			return err
		}
	}
	for _, things := range [][]*thing{w.assets, w.devices} {
		if err := l.stage(ctx, things); err != nil {
			return err
		}
	}
	var left []*fact
	for _, f := range w.facts {
		if slices.Contains(l.open[f.from], f) {
			left = append(left, f)
		}
	}
	return each(ctx, left, func(ctx context.Context, f *fact) error {
		err := l.client.Query(ctx, `mutation($input: RelateInput!) { relate(input: $input) { __typename } }`, map[string]any{"input": map[string]any{
			"from": ref(f.from), "relation": f.name, "to": ref(f.to)}}, nil)
		if err != nil {
			return fmt.Errorf("relating %s: %w", f, err)
		}
		return nil
	})
}

// byLevel takes groups, which are in order of depth, apart: the roots of
// hierarchies, the zones, which places belong to, and the places by depth.
func byLevel(groups []*thing) [][]*thing {
	var roots, zones []*thing
	var levels [][]*thing
	depth := -1
	for _, t := range groups {
		switch {
		case t.class == "":
			roots = append(roots, t)
		case t.class == zoneClass:
			zones = append(zones, t)
		case t.depth > depth:
			depth = t.depth
			levels = append(levels, []*thing{t})
		default:
			levels[len(levels)-1] = append(levels[len(levels)-1], t)
		}
	}
	return slices.Concat([][]*thing{roots, zones}, levels)
}

func (l *loader) template(ctx context.Context, t template) error {
	var relations []map[string]any
	for _, r := range rules[t.kind] {
		relations = append(relations, map[string]any{"name": r.name, "kind": r.to, "inherits": r.inherits})
	}
	input := map[string]any{"kind": t.kind, "name": t.class, "publish": true, "description": "The Brick class " + t.class, "relations": relations}
	if t.kind == device {
		input["measures"] = []map[string]any{{"name": "value", "type": valueType(t.class)}}
	}
	return l.client.Query(ctx, `mutation($input: CreateTemplateInput!) { createTemplate(input: $input) { template { id } } }`, map[string]any{"input": input}, nil)
}

// stage makes things that do not need each other.
func (l *loader) stage(ctx context.Context, things []*thing) error {
	inputs := make(map[*thing]map[string]any, len(things))
	for _, t := range things {
		inputs[t] = l.input(t)
	}
	err := each(ctx, things, func(ctx context.Context, t *thing) error {
		mutation := `mutation($input: Create` + t.kind.title() + `Input!) { create` + t.kind.title() + `(input: $input) { ` + t.kind.field() + ` { id } } }`
		if err := l.client.Query(ctx, mutation, map[string]any{"input": inputs[t]}, nil); err != nil {
			return fmt.Errorf("%s %s: %w", t.kind.field(), t.key, err)
		}
		return nil
	})
	for _, t := range things {
		l.present[t.name()] = true
	}
	return err
}

// input is what a thing is made from, with the relations to what is there.
func (l *loader) input(t *thing) map[string]any {
	input := map[string]any{"reference": t.key}
	if t.kind == group {
		input = map[string]any{"parent": path.Dir(t.key), "name": path.Base(t.key)}
	}
	if t.class != "" {
		input["template"] = t.class
	}
	byRelation := map[string]map[string]any{}
	var relations []map[string]any
	var later []*fact
	for _, f := range l.open[t] {
		if !l.present[f.to.name()] {
			later = append(later, f)
			continue
		}
		one := byRelation[f.name]
		if one == nil {
			one = map[string]any{"name": f.name}
			byRelation[f.name] = one
			relations = append(relations, one)
		}
		keys, _ := one[f.to.kind.field()+"s"].([]string)
		one[f.to.kind.field()+"s"] = append(keys, f.to.key)
	}
	l.open[t] = later
	if relations != nil {
		input["relations"] = relations
	}
	return input
}

// ref names an object in GraphQL.
func ref(t *thing) map[string]any { return map[string]any{t.kind.field(): t.key} }

// each runs a function for everything, some at a time, until one fails.
func each[T any](ctx context.Context, all []T, do func(context.Context, T) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	waiting := make(chan T)
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for one := range waiting {
				if ctx.Err() != nil {
					continue
				}
				if err := do(ctx, one); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, one := range all {
		waiting <- one
	}
	close(waiting)
	running.Wait()
	return context.Cause(ctx)
}
