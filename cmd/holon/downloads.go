package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/download"
	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers"
	"github.com/holon-registry/holon/twin"
)

// twinSource lets downloads read devices and assets with their newest values.
type twinSource struct {
	graph *graph.Store
	live  *twin.Live
}

// Columns implements download.Twins.
func (s twinSource) Columns(ctx context.Context, scope registry.Scope, kind registry.Kind, template string) (attributes, measures []string, open bool, err error) {
	declared, measured := map[string]bool{}, map[string]bool{}
	published := registry.TemplatePublished
	request := registry.PageRequest{Size: registry.MaxPage}
	for more := true; more; {
		page, err := s.graph.ListTemplates(ctx, scope, graph.TemplateFilter{Kind: &kind, Status: &published}, request)
		if err != nil {
			return nil, nil, false, err
		}
		for _, t := range page.Items {
			request.Key = graph.TemplateKey(t)
			if template != "" && !strings.EqualFold(template, t.Name) {
				continue
			}
			open = open || t.Open
			for name := range t.Properties {
				declared[name] = true
			}
			for _, m := range t.Measures {
				measured[m.Name] = true
			}
		}
		more = page.HasNext
	}
	return slices.Sorted(maps.Keys(declared)), slices.Sorted(maps.Keys(measured)), open, nil
}

// Page implements download.Twins.
func (s twinSource) Page(ctx context.Context, scope registry.Scope, search registry.Search, after string, size int) ([]download.Row, string, error) {
	page, err := s.graph.Search(ctx, scope, search, registry.PageRequest{Size: size, Key: after})
	if err != nil {
		return nil, "", err
	}
	ids, templateIDs := make([]registry.ID, len(page.Items)), make([]registry.ID, len(page.Items))
	for i, found := range page.Items {
		of := found.Thing.(registry.Twin)
		ids[i], templateIDs[i] = of.NodeID(), of.TwinTemplate()
	}
	templates, err := s.graph.TemplatesByID(ctx, scope, templateIDs)
	if err != nil {
		return nil, "", err
	}
	live, err := s.live.LiveOf(ctx, scope, ids)
	if err != nil {
		return nil, "", err
	}
	rows := make([]download.Row, 0, len(page.Items))
	next := ""
	for i, found := range page.Items {
		next = found.Key
		if t := templates[i]; t != nil { // else it was deleted in this very moment
			rows = append(rows, rowOf(found.Thing, t, live[i]))
		}
	}
	if !page.HasNext {
		next = ""
	}
	return rows, next, nil
}

func rowOf(thing registry.Related, t *registry.Template, live []registry.LiveValue) download.Row {
	row := download.Row{Template: t.Name, TemplateVersion: t.Version}
	switch of := thing.(type) {
	case *registry.Device:
		row.Reference, row.State, row.Description, row.Details = of.Reference, of.State, of.Description, of.Details
		row.CreatedAt, row.UpdatedAt, row.Attributes = of.CreatedAt, of.UpdatedAt, of.Attributes
	case *registry.Asset:
		row.Reference, row.State, row.Description, row.Details = of.Reference, of.State, of.Description, of.Details
		row.CreatedAt, row.UpdatedAt, row.Attributes = of.CreatedAt, of.UpdatedAt, of.Attributes
	}
	row.Live = resolvers.Shown(t, row.Attributes, live)
	return row
}
