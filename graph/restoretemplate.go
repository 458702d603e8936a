package graph

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/decode"
	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

var restoreMeasureTypes = named("measureType.byNames", `
	UNWIND $keys AS key
	MATCH (m:MeasureType)
	WHERE m.account = $account AND m.keyFold = key
	RETURN collect({node: properties(m)}) AS items`)

// measureTypesNamed finds measure types by folded names.
func (b *restoring) measureTypesNamed(ctx context.Context, keys []string) (map[string]*registry.MeasureType, error) {
	found, _, err := one(ctx, b, restoreMeasureTypes, params{"keys": keys}, func(f fields) map[string]*registry.MeasureType {
		out := map[string]*registry.MeasureType{}
		for _, item := range f.maps("items") {
			m := measureTypeOf(item)
			out[Fold(m.Name)] = m
		}
		return out
	})
	for _, key := range keys {
		if m := b.measures[key]; err == nil && m != nil && found[key] == nil {
			found[key] = m
		}
	}
	return found, err
}

// measureTypes restores measure types. One that is there is widened at most.
func (b *restoring) measureTypes(ctx context.Context, records []*registry.MeasureTypeRecord) error {
	keys, stamps := make([]string, len(records)), make([]registry.Stamp, len(records))
	for i, r := range records {
		keys[i], stamps[i] = Fold(r.Name), r.Stamp
	}
	known, err := b.measureTypesNamed(ctx, keys)
	if err != nil {
		return err
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	for i, r := range records {
		n := registry.NewMeasureType{
			Name: r.Name, ValueType: r.ValueType, Values: r.Values, Fields: r.Fields, Unit: r.Unit, Description: r.Description,
			Annotations: r.Annotations,
		}.Normal()
		if b.refuse(i, n.Check()...) {
			continue
		}
		if old := known[keys[i]]; old != nil {
			switch {
			case b.taken(i, "measure type", r.Name, r.Stamp, old.ID):
			case !sameMeasureType(old, n):
				if known[keys[i]], err = b.widenMeasureType(ctx, i, old, n); err != nil {
					return err
				}
			default:
				b.results[i].Result = registry.RestoreUnchanged
			}
			continue
		}
		if !b.identify(i, r.Stamp, taken) {
			continue
		}
		m := &registry.MeasureType{
			Object: b.object(r.Stamp, r.Revision), Name: n.Name, ValueType: n.ValueType, Values: n.Values, Fields: n.Fields, Unit: n.Unit, Description: n.Description,
			Annotations: n.Annotations,
		}
		known[keys[i]], b.results[i].Result = m, registry.RestoreMade
		if b.tx == nil {
			b.after = append(b.after, func() { b.measures[keys[i]], b.ids[m.ID] = m, true })
			continue
		}
		b.tx.record(entry{
			kind: registry.ObjectMeasureType, id: m.ID, key: m.Name, operation: registry.ChangeCreate, action: actionImported,
			version: m.Version, after: measureTypeSnapshot(m),
		})
		node, err := measureTypeProperties(m)
		if err != nil {
			return err
		}
		if err := nothing(ctx, b, measureTypeCreate, params{"properties": node}); err != nil {
			return err
		}
	}
	return nil
}

// widenMeasureType makes a measure type what a record says, if it then still takes
// all that it took before. It returns the measure type as it is now.
func (b *restoring) widenMeasureType(ctx context.Context, i int, old *registry.MeasureType, n registry.NewMeasureType) (*registry.MeasureType, error) {
	patch := registry.MeasureTypePatch{
		Values: n.Values, Fields: n.Fields, Description: registry.Optional[string]{Value: n.Description, Set: true}, Annotations: n.Annotations,
	}
	if patch.Annotations == nil {
		patch.Annotations = registry.Annotations{}
	}
	wider, err := patch.Apply(old)
	if err != nil || n.ValueType != old.ValueType || !reflect.DeepEqual(n.Unit, old.Unit) {
		b.results[i] = refusedBy(registry.Conflict("name", "measure type %q exists already and is another one", n.Name))
		return old, nil
	}
	b.results[i].Result = registry.RestoreChanged
	if b.tx == nil {
		b.after = append(b.after, func() { b.measures[Fold(wider.Name)] = wider })
		return wider, nil
	}
	return wider, b.tx.replaceMeasureType(ctx, old, wider, actionImported)
}

func sameMeasureType(old *registry.MeasureType, n registry.NewMeasureType) bool {
	is := registry.NewMeasureType{
		Name: n.Name, ValueType: old.ValueType, Values: old.Values, Fields: old.Fields, Unit: old.Unit, Description: old.Description, Annotations: old.Annotations,
	}
	return reflect.DeepEqual(is.Normal(), n)
}

// actionImported is what the journal calls that an object was made from a
// record, or changed to be like one.
const actionImported = "imported"

var restoreTemplates = named("template.byKeys", `
	UNWIND $keys AS key
	MATCH (t:Template)
	WHERE t.account = $account AND t.keyFold = key
	RETURN collect({node: properties(t)}) AS items`)

// templateVersions restores versions of templates. A published version never
// changes; a draft may become another, or be published.
func (b *restoring) templateVersions(ctx context.Context, records []*registry.TemplateRecord) error {
	keys, stamps := make([]string, len(records)), make([]registry.Stamp, len(records))
	var types []string
	for i, r := range records {
		keys[i], stamps[i] = templateKey(r.Kind, r.Name, r.Version), r.Stamp
		for _, m := range r.Measures {
			types = append(types, Fold(m.Type))
		}
	}
	known, _, err := one(ctx, b, restoreTemplates, params{"keys": keys}, func(f fields) map[string]*registry.Template {
		out := map[string]*registry.Template{}
		for _, item := range f.maps("items") {
			t := templateOf(item.nested("node"))
			out[TemplateKey(t)] = t
		}
		return out
	})
	if err != nil {
		return err
	}
	slices.Sort(types)
	measureTypes, err := b.measureTypesNamed(ctx, slices.Compact(types))
	if err != nil {
		return err
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	for i, r := range records {
		t, schema, ids, violations := templateFrom(r, measureTypes)
		if b.refuse(i, violations...) {
			continue
		}
		old := known[keys[i]]
		if c := b.compiled[keys[i]]; old == nil && c != nil {
			old = c.Template
		}
		if old == nil && !b.identify(i, r.Stamp, taken) || old != nil && b.taken(i, "template", r.Name, r.Stamp, old.ID) {
			continue
		}
		if err := b.templateVersion(ctx, i, r, t, old, ids); err != nil {
			return err
		}
		if b.results[i].Result != registry.RestoreRefused {
			known[keys[i]] = t
			compiled := &compiledTemplate{Template: t, account: b.scope.Account, schema: schema}
			b.after = append(b.after, func() { b.compiled[keys[i]] = compiled; b.ids[t.ID] = b.tx == nil })
		}
	}
	return nil
}

// templateFrom makes a template of its record, as far as that is right.
func templateFrom(r *registry.TemplateRecord, types map[string]*registry.MeasureType) (*registry.Template, *jsonschema.Schema, []registry.ID, []registry.Violation) {
	n, schema, err := checkedTemplate(registry.NewTemplate{
		Kind: r.Kind, Name: r.Name, Description: r.Description, Properties: r.Properties, Required: r.Required, Relations: r.Relations,
		Measures: r.Measures, Components: r.Components, Searched: r.Searched, Annotations: r.Annotations, Behaviour: r.Behaviour,
	})
	var violations []registry.Violation
	if e, ok := errors.AsType[*registry.Error](err); ok {
		violations = e.Violations
	}
	if !slices.Contains(registry.Kinds, r.Kind) {
		violations = append(violations, registry.Violation{Path: "kind", Rule: "enum", Message: "is GROUP, DEVICE or ASSET"})
	}
	if r.Version < 1 || r.Version > 999_999 {
		violations = append(violations, registry.Violation{Path: "version", Rule: "range", Message: "is a number from 1"})
	}
	if r.Status != registry.TemplateDraft && r.Status != registry.TemplatePublished {
		violations = append(violations, registry.Violation{Path: "status", Rule: "enum", Message: "is DRAFT or PUBLISHED"})
	}
	t := &registry.Template{
		Kind: r.Kind, Name: r.Name, Version: r.Version, Revision: 1, Status: r.Status, Description: r.Description,
		Properties: n.Properties, Required: n.Required, Relations: n.Relations, Components: n.Components, Searched: n.Searched,
		Annotations: n.Annotations, Behaviour: n.Behaviour,
	}
	var ids []registry.ID
	for i, m := range n.Measures {
		declared, violation := declare(fmt.Sprintf("measures[%d]", i), m, types)
		if violation != nil {
			violations = append(violations, *violation)
		} else if of := types[Fold(m.Type)]; of != nil && !slices.Contains(ids, of.ID) {
			ids = append(ids, of.ID)
		}
		t.Measures = append(t.Measures, declared)
	}
	violations = append(violations, rule.CheckComputed(t)...)
	return t, schema, ids, append(violations, decode.Check(t)...)
}

// templateVersion makes one version, or changes a draft.
func (b *restoring) templateVersion(ctx context.Context, i int, r *registry.TemplateRecord, t, old *registry.Template, measureTypes []registry.ID) error {
	if old != nil {
		t.ID, t.CreatedAt, t.PublishedAt = old.ID, old.CreatedAt, old.PublishedAt
		switch {
		case sameTemplate(t, old):
			b.results[i].Result = registry.RestoreUnchanged
			return nil
		case old.Status == registry.TemplatePublished:
			b.results[i] = refusedBy(registry.Conflict("version", "version %d of template %q is published already and is another one", r.Version, r.Name))
			return nil
		}
		b.results[i].Result, t.Revision = registry.RestoreChanged, old.Revision+1
	} else {
		o := b.object(r.Stamp, registry.Revision{Version: r.Revision})
		t.ID, t.CreatedAt, t.Revision, b.results[i].Result = o.ID, o.CreatedAt, o.Version, registry.RestoreMade
	}
	if t.Status == registry.TemplatePublished {
		if b.tx != nil {
			t.PublishedAt = &b.tx.at
		}
		if b.options.KeepIDs && r.PublishedAt != nil {
			at := r.PublishedAt.UTC()
			t.PublishedAt = &at
		}
	}
	if b.tx == nil {
		return nil
	}
	if t.Status == registry.TemplatePublished {
		committed, err := b.store.claimTemplate(ctx, b, t)
		if registry.CodeOf(err) == registry.CodeLimitExceeded {
			b.results[i] = refusedBy(err)
			return nil
		}
		if err != nil {
			return err
		}
		b.committed = append(b.committed, committed)
	}
	node, err := templateProperties(t)
	if err != nil {
		return err
	}
	q, operation := restoreTemplate, registry.ChangeCreate
	if old != nil {
		operation = registry.ChangeUpdate
	}
	b.tx.recordTemplate(operation, actionImported, old, t)
	return nothing(ctx, b, q, params{"id": string(t.ID), "properties": node, "measureTypes": texts(measureTypes)})
}

var restoreTemplate = named("template.restore", `
	MERGE (t:Entity {id: $id})
	SET t:Template, t = $properties, t.account = $account
	WITH t
	CALL (t) { MATCH (t)-[m:HAS_MEASURE]->() DELETE m }
	UNWIND $measureTypes AS id
	MATCH (m:Entity {id: id})
	WHERE m.account = $account
	CREATE (t)-[:HAS_MEASURE]->(m)`)

// sameTemplate compares all that is not given by the store.
func sameTemplate(x, y *registry.Template) bool {
	one, other := templateSnapshot(x), templateSnapshot(y)
	for _, given := range []string{"id", "createdAt", "publishedAt"} {
		delete(one, given)
		delete(other, given)
	}
	return jsonEqual(one, other)
}

func validID(id registry.ID) bool {
	parsed, err := uuid.Parse(string(id))
	return err == nil && parsed.String() == string(id) && !strings.Contains(string(id), " ")
}
