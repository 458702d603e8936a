package resolvers

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
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

// unitOf is the unit to read a measure in, empty for the declared one. It is
// INVALID to ask for one that the declared one cannot be turned into.
func unitOf(ctx context.Context, twin registry.Twin, measure string, asked *string) (string, error) {
	code, err := askedUnit(asked)
	if err != nil || code == "" {
		return "", err
	}
	t, err := twinTemplate(ctx, twin)
	if err != nil || t == nil {
		return "", err
	}
	declared := t.Declared(measure)
	if declared == nil {
		return code, nil // the store knows what it has
	}
	return code, convertible(declared, code)
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
	out := make([]*registry.LiveValue, 0, len(values))
	for _, v := range values {
		if measures != nil && !slices.Contains(measures, v.Measure) {
			continue
		}
		shown := declaredValue(t, *v)
		if code != "" {
			if err := convertLive(&shown, code, measures != nil); err != nil {
				return nil, err
			}
		}
		out = append(out, &shown)
	}
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
