package graph

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

var reportedAttributes = named("device.reported", `
		UNWIND $ids AS id
		MATCH (d:Entity {id: id})
		WHERE d.account = $account AND d:Device
		RETURN collect({device: properties(d), template: [(d)-[:INSTANCE_OF]->(t:Template) | t.id][0]}) AS devices`)

// reporter is a device that says something of itself.
type reporter struct {
	template *compiledTemplate
	// now are the attributes that it has, wanted those that it says it has by what
	// was taken so far, and patch what leads from one to the other.
	now, wanted, patch registry.Attributes
}

// Report gives devices attributes that they say they have. What they have
// already changes nothing, and costs no change. It says of each report why the
// device cannot have them: one slot a report, nil where it can. Messages are
// checked one after the other, before anything is written, and of one with a
// report that is wrong nothing is; a rehearsal only checks.
func (s *Store) Report(ctx context.Context, scope registry.Scope, reports []registry.Report, rehearse bool) ([]*registry.Error, error) {
	known, err := s.reporters(ctx, scope, reports)
	if err != nil {
		return nil, fmt.Errorf("attributes that are reported: %w", err)
	}
	out := make([]*registry.Error, len(reports))
	for from := 0; from < len(reports); {
		to := from + 1
		for to < len(reports) && reports[to].Message == reports[from].Message {
			to++
		}
		takeReports(known, reports[from:to], out[from:to])
		from = to
	}
	if rehearse {
		return out, nil
	}
	var edits []registry.TwinEdit
	for _, r := range reports {
		if d := known[r.Device]; d != nil && !reflect.DeepEqual(d.wanted, d.now) {
			edits = append(edits, registry.TwinEdit{Ref: registry.Ref{Kind: registry.KindDevice, ID: r.Device}, Patch: registry.TwinPatch{Attributes: d.patch}})
			d.now = d.wanted // once
		}
	}
	wrong := map[registry.ID]*registry.Error{}
	for part := range slices.Chunk(edits, registry.MaxBulk) {
		result, err := s.UpdateTwins(ctx, scope, registry.KindDevice, part, false)
		if err != nil {
			return nil, fmt.Errorf("report attributes: %w", err)
		}
		refused, err := refusals(result, "")
		if err != nil {
			return nil, err
		}
		for i, e := range refused {
			wrong[part[i].Ref.ID] = e
		}
	}
	for i, r := range reports { // somebody else changed the device meanwhile
		if out[i] == nil {
			out[i] = wrong[r.Device]
		}
	}
	return out, nil
}

// reporters reads the devices of reports.
func (s *Store) reporters(ctx context.Context, scope registry.Scope, reports []registry.Report) (map[registry.ID]*reporter, error) {
	known := map[registry.ID]*reporter{}
	var ids []registry.ID
	for _, r := range reports {
		if _, met := known[r.Device]; !met {
			known[r.Device], ids = nil, append(ids, r.Device)
		}
	}
	templates := map[registry.ID]registry.ID{}
	_, err := all(ctx, s.reading(scope), reportedAttributes, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, row := range f.maps("devices") {
			node := row.nested("device")
			now := attributesOf(node, registry.KindDevice)
			known[node.id("id")], templates[node.id("id")] = &reporter{now: now, wanted: now, patch: registry.Attributes{}}, row.id("template")
		}
		return struct{}{}
	})
	if err != nil {
		return nil, err
	}
	found, err := s.TemplatesByID(ctx, scope, slices.Compact(slices.Sorted(maps.Values(templates))))
	if err != nil {
		return nil, err
	}
	byID := map[registry.ID]*compiledTemplate{}
	for _, t := range found {
		if t != nil {
			byID[t.ID] = s.compiled(scope, t)
		}
	}
	for id, d := range known {
		if d == nil {
			delete(known, id)
		} else if d.template = byID[templates[id]]; d.template == nil {
			delete(known, id) // deleted just now
		}
	}
	return known, nil
}

// takeReports takes the reports of one message, if all of them are right, and
// says which are wrong.
func takeReports(known map[registry.ID]*reporter, reports []registry.Report, out []*registry.Error) {
	right := true
	next := map[registry.ID]reporter{}
	for i, r := range reports {
		d := known[r.Device]
		if d == nil {
			out[i], right = registry.NotFound(noun(registry.KindDevice), string(r.Device)), false
			continue
		}
		after, met := next[r.Device]
		if !met {
			after = *d
		}
		patch, violations := plainAttributes(registry.KindDevice, r.Attributes)
		after.wanted, after.patch = merge(after.wanted, patch), joinedPatch(after.patch, patch)
		if violations = append(violations, d.template.check(after.wanted)...); len(violations) > 0 {
			out[i], right = registry.Invalid(violations...), false
		}
		next[r.Device] = after
	}
	if right {
		for id, after := range next {
			*known[id] = after
		}
	}
}

// joinedPatch is the merge patch that does what two do one after the other.
func joinedPatch(first, then map[string]any) map[string]any {
	out := maps.Clone(first)
	for name, value := range then {
		before, was := out[name].(map[string]any)
		if inner, is := value.(map[string]any); was && is {
			value = joinedPatch(before, inner)
		}
		out[name] = value
	}
	return out
}

// Unfit says what a template has against the attributes of a device that is to be
// made, nil if nothing.
func (s *Store) Unfit(scope registry.Scope, template *registry.Template, attributes registry.Attributes) *registry.Error {
	given, violations := plainAttributes(registry.KindDevice, attributes)
	t := s.compiled(scope, template)
	if violations = append(violations, t.check(t.filled(merge(nil, given), given))...); len(violations) > 0 {
		return registry.Invalid(violations...)
	}
	return nil
}

// compiled is a template with its schemas, from memory if they were read before.
func (s *Store) compiled(scope registry.Scope, t *registry.Template) *compiledTemplate {
	if known := s.templates.get(scope.Account, t.ID); known != nil {
		return known
	}
	c := &compiledTemplate{Template: t, account: scope.Account}
	if !t.Open {
		c.schema, _ = jsonschema.Compile(t.Properties, t.Required) // it was compiled when it was published
	}
	return c
}
