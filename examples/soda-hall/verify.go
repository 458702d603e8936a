package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/holon-registry/holon/examples/internal/api"
)

// verify reads everything back and compares it with the plan, in three ways:
// object by object and relation by relation; by the counts that Holon tells for
// each template; and, for each relation, from the other end of the busiest
// object. At last it asks a question across four relations.
func verify(ctx context.Context, client *api.Client, p *plan, out io.Writer) error {
	s, err := readState(ctx, client)
	if err != nil {
		return err
	}
	left, err := s.missing(p)
	if err != nil {
		return err
	}
	if n := left.size(); n > 0 {
		return fmt.Errorf("%d of the things that were written are not there: %d templates, %d groups, %d assets, %d devices, %d relations",
			n, len(left.templates), len(left.groups), len(left.assets), len(left.devices), len(left.facts))
	}
	fmt.Fprintf(out, "Read back: all of %d groups, %d assets, %d devices and %d relations are there\n", len(p.groups), len(p.assets), len(p.devices), len(p.facts))
	if err := verifyCounts(ctx, client, s, p); err != nil {
		return err
	}
	fmt.Fprintf(out, "Counts of %d templates are right\n", len(p.templates()))
	if err := verifyHierarchy(ctx, client, p, out); err != nil {
		return err
	}
	if err := verifyInverse(ctx, client, p, out); err != nil {
		return err
	}
	return verifyZones(ctx, client, p, out)
}

// verifyCounts compares what Holon counts for each template with what it lists.
func verifyCounts(ctx context.Context, client *api.Client, s *state, p *plan) error {
	listed := map[name]int{}
	for n, template := range s.objects {
		listed[name{n.kind, fold(template)}]++
	}
	for _, t := range p.templates() {
		var data struct{ Page struct{ TotalCount int } }
		query := `query($template: String!) { page: ` + t.kind.field() + `s(template: $template, first: 1) { totalCount } }`
		if err := client.Query(ctx, query, map[string]any{"template": t.class}, &data); err != nil {
			return err
		}
		if want := listed[name{t.kind, fold(t.class)}]; data.Page.TotalCount != want {
			return fmt.Errorf("%d %ss of %s are counted, but %d are listed", data.Page.TotalCount, t.kind.field(), t.class, want)
		}
	}
	return nil
}

// verifyHierarchy compares the number of children of each group that has some.
func verifyHierarchy(ctx context.Context, client *api.Client, p *plan, out io.Writer) error {
	children := map[*thing]int{}
	for _, g := range p.groups {
		if g.parent != nil {
			children[g.parent]++
		}
	}
	for _, g := range p.groups {
		if children[g] == 0 {
			continue
		}
		var data struct {
			Group *struct{ Children struct{ TotalCount int } }
		}
		if err := client.Query(ctx, `query($path: String!) { group(path: $path) { children(first: 1) { totalCount } } }`, map[string]any{"path": g.key}, &data); err != nil {
			return err
		}
		if data.Group == nil || data.Group.Children.TotalCount != children[g] {
			return fmt.Errorf("group %s: %+v, not %d children", g.key, data.Group, children[g])
		}
		fmt.Fprintf(out, "  %s has %d children\n", g.key, children[g])
	}
	return nil
}

// verifyInverse asks, for each relation, the object with most of them for what
// leads to it.
func verifyInverse(ctx context.Context, client *api.Client, p *plan, out io.Writer) error {
	incoming := map[string]map[*thing][]string{}
	for _, f := range p.facts {
		if incoming[f.name] == nil {
			incoming[f.name] = map[*thing][]string{}
		}
		incoming[f.name][f.to] = append(incoming[f.name][f.to], fold(f.from.key))
	}
	for _, relation := range sortedKeys(incoming) {
		var busiest *thing
		for t, from := range incoming[relation] {
			if busiest == nil || len(from) > len(incoming[relation][busiest]) || len(from) == len(incoming[relation][busiest]) && t.key < busiest.key {
				busiest = t
			}
		}
		want := incoming[relation][busiest]
		key := "reference"
		if busiest.kind == group {
			key = "path"
		}
		var data struct{ Found *object }
		err := client.Query(ctx, `query($key: String!, $relation: String!) { found: `+busiest.kind.field()+`(`+key+`: $key) {
			relations(name: $relation, direction: IN) { name other { __typename ... on Group { path } ... on Asset { reference } ... on Device { reference } } }
		} }`, map[string]any{"key": busiest.key, "relation": relation}, &data)
		if err != nil {
			return err
		}
		if data.Found == nil {
			return fmt.Errorf("%s %s is not there", busiest.kind.field(), busiest.key)
		}
		var got []string
		for _, r := range data.Found.Relations {
			got = append(got, fold(r.Other.key()))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s of %s: %s, not %s", relation, busiest.key, strings.Join(got, ", "), strings.Join(want, ", "))
		}
		fmt.Fprintf(out, "  %s: %d lead to %s\n", relation, len(got), busiest.key)
	}
	return nil
}
