package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/holon-registry/holon/examples/internal/api"
)

// name is how Holon tells objects apart: by kind, and by key without regard to
// case.
type name struct {
	kind kind
	fold string
}

func (t *thing) name() name { return name{t.kind, fold(t.key)} }

// edge is a relation between two objects in Holon.
type edge struct {
	from     name
	relation string
	to       name
}

func (f *fact) edge() edge { return edge{f.from.name(), f.name, f.to.name()} }

// state is what Holon has: its templates, each object's template, and all
// relations between them.
type state struct {
	templates map[name]bool
	objects   map[name]string
	edges     map[edge]bool
}

// pageSize keeps the complexity of a page with its relations within bounds.
const pageSize = 200

// object is a group, an asset or a device as GraphQL tells of it.
type object struct {
	Typename        string `json:"__typename"`
	Path, Reference string
	Template        struct{ Name string }
	Relations       []struct {
		Name  string
		Other object
	}
}

func (o object) key() string { return o.Path + o.Reference }

// page is one page of a connection.
type page struct {
	Nodes    []object
	PageInfo struct {
		HasNextPage bool
		EndCursor   *string
	}
}

var kindOf = map[string]kind{"Group": group, "Asset": asset, "Device": device}

// readState reads everything that the account has, page by page.
func readState(ctx context.Context, client *api.Client) (*state, error) {
	s := &state{templates: map[name]bool{}, objects: map[name]string{}, edges: map[edge]bool{}}
	for _, k := range []kind{group, asset, device} {
		templates, err := readAll(ctx, client, `query($first: Int!, $after: String) {
			page: templates(kind: `+string(k)+`, first: $first, after: $after) { nodes { reference: name } pageInfo { hasNextPage endCursor } }
		}`)
		if err != nil {
			return nil, fmt.Errorf("reading the templates: %w", err)
		}
		for _, t := range templates {
			s.templates[name{k, fold(t.key())}] = true
		}
		key := "reference"
		if k == group {
			key = "path"
		}
		objects, err := readAll(ctx, client, `query($first: Int!, $after: String) {
			page: `+k.field()+`s(first: $first, after: $after) {
				nodes { `+key+` template { name } relations(direction: OUT) { name other { __typename ... on Group { path } ... on Asset { reference } ... on Device { reference } } } }
				pageInfo { hasNextPage endCursor }
			}
		}`)
		if err != nil {
			return nil, fmt.Errorf("reading the %ss: %w", k.field(), err)
		}
		for _, o := range objects {
			from := name{k, fold(o.key())}
			s.objects[from] = o.Template.Name
			for _, r := range o.Relations {
				s.edges[edge{from, r.Name, name{kindOf[r.Other.Typename], fold(r.Other.key())}}] = true
			}
		}
	}
	return s, nil
}

func readAll(ctx context.Context, client *api.Client, query string) ([]object, error) {
	var all []object
	for variables := map[string]any{"first": pageSize}; ; {
		var data struct{ Page page }
		if err := client.Query(ctx, query, variables, &data); err != nil {
			return nil, err
		}
		all = append(all, data.Page.Nodes...)
		if !data.Page.PageInfo.HasNextPage {
			return all, nil
		}
		variables["after"] = data.Page.PageInfo.EndCursor
	}
}

// work is what is left to be done so that Holon has a plan.
type work struct {
	templates               []template
	groups, assets, devices []*thing
	facts                   []*fact
}

// template is one Brick class of one kind.
type template struct {
	kind  kind
	class string
}

func (w *work) size() int {
	return len(w.templates) + len(w.groups) + len(w.assets) + len(w.devices) + len(w.facts)
}

// missing is what the plan has and Holon has not. It is an error if objects are
// there with another template: somebody else's, which must not be touched.
func (s *state) missing(p *plan) (*work, error) {
	w := &work{}
	var others []error
	for _, t := range p.templates() {
		if !s.templates[name{t.kind, fold(t.class)}] {
			w.templates = append(w.templates, t)
		}
	}
	for _, part := range []struct {
		all  []*thing
		left *[]*thing
	}{{p.groups, &w.groups}, {p.assets, &w.assets}, {p.devices, &w.devices}} {
		for _, t := range part.all {
			has, there := s.objects[t.name()]
			switch {
			case !there:
				*part.left = append(*part.left, t)
			case t.class != "" && fold(has) != fold(t.class):
				others = append(others, fmt.Errorf("the %s %s is there with the template %s, not %s: nothing was written", t.kind.field(), t.key, has, t.class))
			}
		}
	}
	for _, f := range p.facts {
		if !s.edges[f.edge()] {
			w.facts = append(w.facts, f)
		}
	}
	return w, errors.Join(others...)
}

// templates lists the Brick classes that the things have, by kind and name.
func (p *plan) templates() []template {
	byName := map[name]template{}
	for _, all := range [][]*thing{p.groups, p.assets, p.devices} {
		for _, t := range all {
			k := name{t.kind, fold(t.class)}
			if _, known := byName[k]; !known && t.class != "" {
				byName[k] = template{t.kind, t.class}
			}
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b template) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.class, b.class))
	})
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
