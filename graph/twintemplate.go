package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var twinTemplates = named("twin.templates", `
	UNWIND $ids AS id
	MATCH (t:Entity {id: id})
	WHERE t.account = $account AND t:Device|Asset
	MATCH (t)-[:INSTANCE_OF]->(x:Template)
	RETURN collect([id, x.id]) AS templates`)

// TemplatesOf returns the templates of devices and assets: one slot an id, nil
// where there is no such twin.
func (s *Store) TemplatesOf(ctx context.Context, scope registry.Scope, twins []registry.ID) ([]*registry.Template, error) {
	of, _, err := one(ctx, s.reading(scope), twinTemplates, params{"ids": texts(twins)}, func(f fields) map[registry.ID]registry.ID {
		out := map[registry.ID]registry.ID{}
		for _, item := range f.list("templates") {
			pair, _ := item.([]any)
			if len(pair) != 2 {
				f.failed("a template is %v", item)
				break
			}
			twin, _ := pair[0].(string)
			template, _ := pair[1].(string)
			out[registry.ID(twin)] = registry.ID(template)
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("templates of twins: %w", err)
	}
	var ids []registry.ID
	known := map[registry.ID]*registry.Template{}
	for _, id := range of {
		if _, met := known[id]; !met {
			known[id] = nil
			ids = append(ids, id)
		}
	}
	templates, err := s.TemplatesByID(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	for i, t := range templates {
		known[ids[i]] = t
	}
	out := make([]*registry.Template, len(twins))
	for i, twin := range twins {
		out[i] = known[of[twin]]
	}
	return out, nil
}
