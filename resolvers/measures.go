package resolvers

import (
	"context"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
	"github.com/holon-registry/holon/unit"
)

// twinTemplate is the template of a twin, nil if it was deleted this very moment.
func twinTemplate(ctx context.Context, of registry.Twin) (*registry.Template, error) {
	return loadersFrom(ctx).templates.Load(ctx, of.TwinTemplate())
}

// askedUnit is the code of the unit that is asked for, empty if none is.
func askedUnit(asked *string) (string, error) {
	if asked == nil {
		return "", nil
	}
	u, err := unit.Parse(*asked)
	if err != nil {
		return "", registry.InvalidField("unit", "unit", "%s", err.Error())
	}
	return u.Code(), nil
}

func convertible(declared *registry.MeasureDeclaration, code string) error {
	if declared.Unit == "" {
		return registry.InvalidField("unit", "unit", "measure %s has no unit", declared.Name)
	}
	if _, err := unit.Convert(declared.Unit, code); err != nil {
		return registry.InvalidField("unit", "unit", "measure %s: %s", declared.Name, err.Error())
	}
	return nil
}

// live returns the newest values of a twin's measures, in the units of its
// template or in the one that is asked for.
func (r *Resolver) live(ctx context.Context, twin registry.Twin, measures []string, asked *string) ([]*registry.LiveValue, error) {
	code, err := askedUnit(asked)
	if err != nil {
		return nil, err
	}
	values, err := loadersFrom(ctx).live.Load(ctx, twin.NodeID())
	if err != nil {
		return nil, err
	}
	t, err := twinTemplate(ctx, twin)
	if err != nil {
		return nil, err
	}
	stored := make([]registry.LiveValue, len(values))
	for i, v := range values {
		stored[i] = *v
	}
	out := make([]*registry.LiveValue, 0, len(values))
	for _, v := range shown(t, attributesOf(twin), stored) {
		if measures != nil && !slices.Contains(measures, v.Measure) {
			continue
		}
		if code != "" {
			if err := convertLive(&v, code, measures != nil); err != nil {
				return nil, err
			}
		}
		out = append(out, &v)
	}
	slices.SortFunc(out, func(x, y *registry.LiveValue) int { return strings.Compare(x.Measure, y.Measure) })
	return out, nil
}

// declaredValue is a value in the unit that the template declares. Where the
// template is not the one that the value was recorded by, it is held against the
// limits of this one as well.
func declaredValue(t *registry.Template, v registry.LiveValue) registry.LiveValue {
	if t == nil {
		return v
	}
	declared := t.Declared(v.Measure)
	number, isNumber := v.Value.(float64)
	if declared == nil || !isNumber {
		return v
	}
	if declared.Unit != "" {
		if c, err := unit.Convert(v.Unit, declared.Unit); err == nil {
			number = c.Apply(number)
			v.Value, v.Unit = number, declared.Unit
		}
	}
	if v.Suspect == "" {
		v.Suspect = declared.Suspect(number)
	}
	return v
}

// convertLive converts a value, or refuses to where it must be possible.
func convertLive(v *registry.LiveValue, code string, must bool) error {
	number, isNumber := v.Value.(float64)
	if isNumber && v.Unit != "" {
		c, err := unit.Convert(v.Unit, code)
		if err == nil {
			v.Value, v.Unit = c.Apply(number), code
			return nil
		}
		if must {
			return registry.InvalidField("unit", "unit", "measure %s: %s", v.Measure, err.Error())
		}
		return nil
	}
	if must {
		return registry.InvalidField("unit", "unit", "measure %s has no unit", v.Measure)
	}
	return nil
}

// series are the series of a twin, with those of computed measures, which the
// store does not have.
func (r *Resolver) series(ctx context.Context, twin registry.Twin) ([]*registry.Series, error) {
	stored, err := loadersFrom(ctx).series.Load(ctx, twin.NodeID())
	if err != nil {
		return nil, err
	}
	t, err := twinTemplate(ctx, twin)
	if err != nil || !rule.HasComputed(t) {
		return stored, err
	}
	var out []*registry.Series
	var live []registry.LiveValue
	for _, s := range stored {
		if declared := t.Declared(s.Measure); declared != nil && declared.Computed != "" {
			continue
		}
		out = append(out, s)
		if s.Last != nil {
			live = append(live, declaredValue(t, registry.LiveValue{Measure: s.Measure, Value: s.Last.Value, MeasuredAt: s.Last.At, Unit: deref(s.Unit)}))
		}
	}
	newest := map[string]registry.LiveValue{}
	for _, v := range rule.ComputeLive(t, attributesOf(twin), live) {
		newest[v.Measure] = v
	}
	for i := range t.Measures {
		m := &t.Measures[i]
		if m.Computed == "" {
			continue
		}
		s := &registry.Series{
			ID: twin.NodeID() + "/" + registry.ID(m.Name), TwinID: twin.NodeID(), Measure: m.Name, Type: m.ValueType, Unit: m.UnitCode(), Generation: 1, Computed: true,
		}
		if v, ok := newest[m.Name]; ok {
			s.Last = &registry.Measurement{At: v.MeasuredAt, Value: v.Value, Suspect: v.SuspectReason(), Computed: true}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y *registry.Series) int { return strings.Compare(x.Measure, y.Measure) })
	return out, nil
}
