package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

var templatesNaming = named("template.naming", `
	MATCH (t:Template)
	WHERE t.account = $account AND t.keyFold IS NOT NULL AND (size(t.components) > 0 OR t.relations CONTAINS '"templates"')
	RETURN collect({kind: t.kind, name: t.name, version: t.version, components: t.components, relations: t.relations}) AS templates`)

// unnamed refuses what would leave no published version of a template while other
// templates name it, in relations or as components.
func unnamed(ctx context.Context, r runner, gone *registry.Template) error {
	naming, _, err := one(ctx, r, templatesNaming, nil, func(f fields) []string {
		var out []string
		for _, item := range f.maps("templates") {
			t := &registry.Template{Kind: registry.Kind(item.text("kind")), Name: item.text("name"), Components: item.texts("components")}
			item.json("relations", &t.Relations)
			same := t.Kind == gone.Kind && Fold(t.Name) == Fold(gone.Name)
			if !same && t.Names(gone.Kind, gone.Name) {
				out = append(out, fmt.Sprintf("%s template %s version %d", noun(t.Kind), t.Name, item.integer("version")))
			}
		}
		return out
	})
	if err != nil {
		return fmt.Errorf("read the templates that name template %s: %w", gone.Name, err)
	}
	if len(naming) == 0 {
		return nil
	}
	slices.Sort(naming)
	return registry.FailedPrecondition("template %q is named by %s: change or delete what names it first", gone.Name, someOf(naming))
}
