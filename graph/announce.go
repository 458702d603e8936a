package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// What devices do to the registry by their readings. Both are changes like any
// other, in the name of the key that the readings came with.

var templatesNewest = named("template.newestNamed", `
		UNWIND $names AS name
		CALL (name) {
			MATCH (t:Template)
			WHERE t.account = $account AND t.kind = $kind AND t.nameFold = name AND t.version > 0 AND t.status = 'PUBLISHED'
			RETURN t ORDER BY t.version DESC LIMIT 1
		}
		RETURN collect({name: name, node: properties(t)}) AS templates`)

// TemplatesNamed returns the newest published templates of a kind by their
// names, in whatever case: one slot a name, nil where there is none.
func (s *Store) TemplatesNamed(ctx context.Context, scope registry.Scope, kind registry.Kind, names []string) ([]*registry.Template, error) {
	folded := make([]string, len(names))
	for i, name := range names {
		folded[i] = Fold(name)
	}
	found := map[string]*registry.Template{}
	_, err := all(ctx, s.reading(scope), templatesNewest, params{"names": folded, "kind": string(kind)}, func(f fields) struct{} {
		for _, item := range f.maps("templates") {
			found[item.text("name")] = s.template(item.nested("node"), scope.Account).Template
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("templates by name: %w", err)
	}
	out := make([]*registry.Template, len(names))
	for i, name := range folded {
		out[i] = found[name]
	}
	return out, nil
}

// Announce makes devices that have announced themselves. One that is there
// already, perhaps since a moment ago, is no error. It says of each why there is
// still none: one slot a device, nil where there is one.
func (s *Store) Announce(ctx context.Context, scope registry.Scope, devices []registry.NewTwin) ([]*registry.Error, error) {
	made, err := s.CreateTwins(ctx, scope, registry.KindDevice, devices, false)
	if err != nil {
		return nil, fmt.Errorf("announce devices: %w", err)
	}
	return refusals(made, registry.CodeConflict)
}

// refusals are the errors of a batch's items, but for those of a code. If the
// store failed, that is the error of all.
func refusals(result *registry.Bulk, but registry.Code) ([]*registry.Error, error) {
	out := make([]*registry.Error, len(result.Results))
	for i, r := range result.Results {
		switch {
		case r.Error == nil || r.Error.Code == but:
		case r.Error.Code == registry.CodeUnavailable || r.Error.Code == registry.CodeInternal:
			return nil, r.Error
		default:
			out[i] = r.Error
		}
	}
	return out, nil
}
