package resolvers

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// view puts the values of changes into the units of their twins' templates, and
// adds the computed measures that come from them, in a bounded number of round
// trips.
func (f *twinFollower) view(ctx context.Context, changes []*pendingChange) error {
	var with []*pendingChange
	var ids []registry.ID
	for _, p := range changes {
		if len(p.Values) > 0 {
			with, ids = append(with, p), append(ids, p.TwinID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	templates, err := f.resolver.Graph.TemplatesOf(ctx, f.scope, ids)
	if err != nil {
		return err
	}
	var computed []*pendingChange
	ids = ids[:0]
	for i, p := range with {
		values := slices.Clone(p.Values)
		for k := range values {
			values[k] = declaredValue(templates[i], values[k])
		}
		p.Values = values
		if rule.HasComputed(templates[i]) {
			computed, ids = append(computed, p), append(ids, p.TwinID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	views, err := f.resolver.viewed(ctx, f.scope, ids)
	if err != nil {
		return err
	}
	for i, p := range computed {
		p.Values = append(p.Values, changedBy(views[i], p.Values)...)
	}
	return nil
}

// liveView is what a twin shows of its newest values.
type liveView struct {
	template *registry.Template
	values   []registry.LiveValue
}

// changedBy are the computed measures of a view that come from measures that
// changed.
func changedBy(view liveView, changed []registry.LiveValue) []registry.LiveValue {
	var out []registry.LiveValue
	for _, v := range view.values {
		if v.Computed && slices.ContainsFunc(rule.Inputs(view.template, v.Measure), func(name string) bool {
			return slices.ContainsFunc(changed, func(c registry.LiveValue) bool { return c.Measure == name })
		}) {
			out = append(out, v)
		}
	}
	return out
}

// viewed are the newest values of twins in the units of their templates, with
// what is computed from them: one slot an id.
func (r *Resolver) viewed(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]liveView, error) {
	live, err := r.Live.LiveOf(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	templates, err := r.Graph.TemplatesOf(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	var computed []registry.ID
	for i, t := range templates {
		if rule.HasComputed(t) {
			computed = append(computed, ids[i])
		}
	}
	attributes := map[registry.ID]registry.Attributes{}
	if len(computed) > 0 {
		nodes, err := r.Graph.Nodes(ctx, scope, computed)
		if err != nil {
			return nil, err
		}
		for i, node := range nodes {
			if twin, ok := node.(registry.Twin); ok {
				attributes[computed[i]] = attributesOf(twin)
			}
		}
	}
	out := make([]liveView, len(ids))
	for i, id := range ids {
		out[i] = liveView{templates[i], shown(templates[i], attributes[id], live[i])}
	}
	return out, nil
}

// attributesOf are the attributes of a device or an asset.
func attributesOf(twin registry.Twin) registry.Attributes {
	switch x := twin.(type) {
	case *registry.Device:
		return x.Attributes
	case *registry.Asset:
		return x.Attributes
	}
	return nil
}

// Shown are the newest values of a twin as the API shows them: in the units of
// its template, with what is computed from them.
func Shown(t *registry.Template, attributes registry.Attributes, live []registry.LiveValue) []registry.LiveValue {
	return shown(t, attributes, live)
}

// shown are newest values in the units of a template, with what is computed from
// them. What was stored of a measure that is computed by now is left out.
func shown(t *registry.Template, attributes registry.Attributes, live []registry.LiveValue) []registry.LiveValue {
	out := make([]registry.LiveValue, 0, len(live))
	for _, v := range live {
		if t != nil {
			if declared := t.Declared(v.Measure); declared != nil && declared.Computed != "" {
				continue
			}
		}
		out = append(out, declaredValue(t, v))
	}
	if rule.HasComputed(t) {
		out = append(out, rule.ComputeLive(t, attributes, out)...)
	}
	return out
}
