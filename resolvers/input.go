package resolvers

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
	"github.com/holon-registry/holon/resolvers/scalar"
)

// refOf names an object by its id or by its key: exactly one must be given.
func refOf(kind registry.Kind, id *registry.ID, key *string, keyName string) (registry.Ref, error) {
	switch {
	case id != nil && key == nil:
		return registry.Ref{ID: *id, Kind: kind}, nil
	case key != nil && id == nil:
		return registry.Ref{Kind: kind, Key: *key}, nil
	}
	return registry.Ref{}, registry.InvalidField("input."+keyName, "exclusive", "give either id or %s", keyName)
}

// objectRef names an object. The schema asks for exactly one field, which is
// checked before in what stands in a request, but not in its variables.
func objectRef(path string, in *generated.ObjectRef) (registry.Ref, error) {
	var named []registry.Ref
	if in.ID != nil {
		named = append(named, registry.Ref{ID: *in.ID})
	}
	for _, by := range []struct {
		kind registry.Kind
		key  *string
	}{{registry.KindGroup, in.Group}, {registry.KindDevice, in.Device}, {registry.KindAsset, in.Asset}} {
		if by.key != nil {
			named = append(named, registry.Ref{Kind: by.kind, Key: *by.key})
		}
	}
	if len(named) != 1 {
		return registry.Ref{}, registry.InvalidField(path, "exclusive", "name one object: give exactly one of id, group, device and asset, not %d", len(named))
	}
	return named[0], nil
}

// ends names the two objects of a relation.
func ends(from, to *generated.ObjectRef) (source, target registry.Ref, err error) {
	if source, err = objectRef("input.from", from); err == nil {
		target, err = objectRef("input.to", to)
	}
	return source, target, err
}

// relationName folds the name of a relation, as names of templates are: the
// store has them in lower case.
func relationName(name string) string { return strings.ToLower(name) }

func newRelations(in []*generated.RelationsInput) []registry.NewRelation {
	out := make([]registry.NewRelation, len(in))
	for i, r := range in {
		out[i].Name, out[i].Direction = relationName(r.Name), r.Direction
		out[i].To = slices.Concat(refs(registry.KindGroup, r.Groups), refs(registry.KindDevice, r.Devices), refs(registry.KindAsset, r.Assets))
	}
	return out
}

func refs(kind registry.Kind, keys []string) []registry.Ref {
	out := make([]registry.Ref, len(keys))
	for i, key := range keys {
		out[i] = registry.Ref{Kind: kind, Key: key}
	}
	return out
}

// patched says whether an input was absent, null or given.
func patched[T any](in graphql.Omittable[*T]) registry.Optional[T] {
	return registry.Optional[T]{Set: in.IsSet(), Value: in.Value()}
}

func (r *Resolver) updatePolicy(ctx context.Context, in generated.UpdatePolicyInput) (*generated.UpdatePolicyPayload, error) {
	ref, err := refOf("", in.ID, in.Reference, "reference")
	if err != nil {
		return nil, err
	}
	patch := registry.PolicyPatch{Type: in.Type, Description: patched(in.Description), AppliesTo: in.AppliesTo, IfVersion: in.IfVersion}
	if in.Document != nil {
		patch.Document = registry.Some(in.Document)
	}
	if in.Rehearse {
		rehearsal, err := r.Graph.RehearseUpdatePolicy(ctx, scopeFrom(ctx), ref, patch)
		return &generated.UpdatePolicyPayload{Rehearsal: rehearsal}, err
	}
	policy, err := r.Graph.UpdatePolicy(ctx, keeping(ctx, in.Token), ref, patch)
	return &generated.UpdatePolicyPayload{Policy: policy}, err
}

// underPath is the path of a group that a list is about; empty if none was given.
// An empty path is the root's, as everywhere.
func underPath(under *string) string {
	if under != nil && *under == "" {
		return "/"
	}
	return deref(under)
}

func filter(under, template *string, state *registry.State) registry.Filter {
	f := registry.Filter{Under: underPath(under), Template: deref(template)}
	if state != nil {
		f.State = *state
	}
	return f
}

func newReadings(in []*generated.ReadingInput) []registry.Reading {
	readings := make([]registry.Reading, len(in))
	for i, r := range in {
		readings[i] = registry.Reading{Device: deref(r.Device), Asset: deref(r.Asset), MessageID: deref(r.MessageID), Values: plain(r.Values), Template: deref(r.Template), Attributes: r.Attributes}
		if r.MeasuredAt != nil {
			readings[i].MeasuredAt = *r.MeasuredAt
		}
	}
	return readings
}

func plain(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for name, v := range values {
		out[name] = scalar.Plain(v)
	}
	return out
}

func newLink(in generated.LinkDeviceInput) registry.NewLink {
	return registry.NewLink{
		Device: deviceRef(in.Device), Asset: assetRef(in.Asset), Measures: newMapping(in.Measures), Since: in.Since,
		Replace: in.Replace, Rehearse: in.Rehearse,
	}
}

func newMapping(in []*generated.MeasureMappingInput) []registry.MeasureMapping {
	var out []registry.MeasureMapping
	for _, m := range in {
		out = append(out, registry.MeasureMapping{Device: m.Device, Asset: m.Asset})
	}
	return out
}

func deviceRef(reference string) registry.Ref {
	return registry.Ref{Kind: registry.KindDevice, Key: reference}
}

func assetRef(reference string) registry.Ref {
	return registry.Ref{Kind: registry.KindAsset, Key: reference}
}
