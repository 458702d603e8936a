package resolvers

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// askedMeasure is a measure of a twin that is asked for.
type askedMeasure struct {
	// computed says how it is worked out, nil where it is stored.
	computed *graph.Computed
	// unit is the one to answer in, empty for the declared one.
	unit string
}

// asked finds out how to read a measure of a twin, or a part of one such as
// "pump.speed". NOT_FOUND if it can have none of that name; INVALID for a unit that the declared one cannot be turned into.
func (r *Resolver) asked(ctx context.Context, twin registry.Twin, measure string, unit *string) (askedMeasure, error) {
	code, err := askedUnit(unit)
	if err != nil {
		return askedMeasure{}, err
	}
	t, err := twinTemplate(ctx, twin)
	if err != nil || t == nil {
		return askedMeasure{}, err
	}
	if withPart, err := rule.WithPart(t, measure); err != nil {
		return askedMeasure{}, err
	} else if withPart != nil {
		t = withPart
	}
	declared := t.Declared(measure)
	switch {
	case declared == nil:
		return askedMeasure{unit: code}, knownMeasure(ctx, twin, t, measure) // the store knows the units that it has
	case code != "":
		if err := convertible(declared, code); err != nil {
			return askedMeasure{}, err
		}
	}
	out := askedMeasure{unit: code}
	if declared.Computed != "" {
		out.computed = &graph.Computed{Twin: twin.NodeID(), Template: t, Measure: measure, Attributes: attributesOf(twin)}
	}
	return out, nil
}

// knownMeasure refuses a measure that a twin cannot have: its template is not
// open and does not declare it, and it has never had it.
func knownMeasure(ctx context.Context, twin registry.Twin, t *registry.Template, measure string) error {
	if t.Open {
		return nil // any measure may come yet
	}
	stored, err := loadersFrom(ctx).series.Load(ctx, twin.NodeID())
	if err != nil || slices.ContainsFunc(stored, func(s *registry.Series) bool { return s.Measure == measure }) {
		return err
	}
	return registry.UnknownMeasure(measure, t, stored)
}
