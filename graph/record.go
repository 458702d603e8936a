package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Records are read page by page, by key, as lists: an object with everything
// that its lines in a file say. The keys of others come with it, so that no
// second look is needed.

// thingRecord is what is read of a thing in the variable n.
var thingRecord = `{thing: ` + thing("n") + `,
	template: [(n)-[:INSTANCE_OF]->(t) | [t.name, t.version]][0],
	whole: [(n)-[:COMPONENT_OF|PART_OF]->(w:Device|Asset) | w.reference][0],
	relations: [(n)-[r]->(o:Group|Device|Asset) WHERE NOT type(r) IN $builtIn |
		[toLower(type(r)), r.inherits, ` + kindOfNode + `, coalesce(o.path, o.reference)]],
	links: [(n)-[l:LINKED_TO]->(a:Asset) | {id: l.id, asset: a.reference, since: l.since, until: l.until,
		deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures}]}`

const policyRecord = `{node: properties(n), groups: COLLECT { MATCH (n)-[:APPLIES_TO]->(g:Group) RETURN g.path ORDER BY g.keyFold }}`

var (
	recordThings = labelled("records", `
		MATCH (n:LABEL)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		RETURN collect(`+thingRecord+`) AS items`)

	recordPolicies = named("policy.records", `
		MATCH (n:Policy)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		RETURN collect(`+policyRecord+`) AS items`)

	recordTemplates = named("template.records", `
		MATCH (n:Template)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		RETURN collect({node: properties(n)}) AS items`)

	recordMeasureTypes = named("measureType.records", `
		MATCH (n:MeasureType)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		RETURN collect({node: properties(n)}) AS items`)

	recordProfiles = named("profile.records", `
		MATCH (n:Profile)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		RETURN collect(`+profileItem("n")+`) AS items`)

	recordsByID = named("record.byID", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		RETURN collect(CASE
			WHEN n:Group OR n:Device OR n:Asset THEN `+thingRecord+`
			WHEN n:Policy THEN {policy: `+policyRecord+`}
			WHEN n:Template THEN {templateNode: properties(n)}
			WHEN n:Profile THEN {profile: `+profileItem("n")+`}
			WHEN n:MeasureType THEN {measureType: properties(n)} END) AS items`)
)

// recordPage is how many objects are read at once.
const recordPage = 1000

// Records returns up to 1,000 records of a kind in the order of their keys,
// after a key, and the key to go on after; empty at the end. Relations and
// links come with the things where they start.
func (s *Store) Records(ctx context.Context, scope registry.Scope, kind registry.RecordKind, after string) (records []registry.Record, next string, err error) {
	switch kind {
	case registry.RecordAlarm:
		records, next, err = s.alarmRecords(ctx, scope, after)
	case registry.RecordCommand:
		records, next, err = s.commandRecords(ctx, scope, after)
	default:
		records, next, err = s.objectRecords(ctx, scope, kind, after)
	}
	if err != nil {
		return nil, "", fmt.Errorf("records of %ss: %w", kind, err)
	}
	return records, next, nil
}

func (s *Store) objectRecords(ctx context.Context, scope registry.Scope, kind registry.RecordKind, after string) (records []registry.Record, next string, err error) {
	q, of := recordQuery(kind)
	p := params{"key": after, "limit": recordPage, "builtIn": builtInTypes}
	type page struct {
		records []registry.Record
		last    string
		n       int
	}
	got, _, err := one(ctx, s.reading(scope), q, p, func(f fields) page {
		items := f.maps("items")
		out := page{n: len(items)}
		for _, item := range items {
			if record := of(item); record != nil {
				out.records = append(out.records, record)
			}
			out.last = keyFoldOf(item)
		}
		return out
	})
	if err != nil {
		return nil, "", err
	}
	if got.n == recordPage {
		next = got.last
	}
	return got.records, next, s.recordDesired(ctx, scope, got.records)
}

func recordQuery(kind registry.RecordKind) (query, func(fields) registry.Record) {
	switch kind {
	case registry.RecordMeasureType:
		return recordMeasureTypes, func(f fields) registry.Record { return measureTypeRecordOf(f.nested("node")) }
	case registry.RecordTemplate:
		return recordTemplates, func(f fields) registry.Record { return templateRecordOf(f.nested("node")) }
	case registry.RecordProfile:
		return recordProfiles, func(f fields) registry.Record { return profileRecordOf(f) }
	case registry.RecordPolicy:
		return recordPolicies, func(f fields) registry.Record { return policyRecordOf(f) }
	case registry.RecordGroup:
		return recordThings[registry.KindGroup], thingRecordOf
	case registry.RecordDevice:
		return recordThings[registry.KindDevice], thingRecordOf
	}
	return recordThings[registry.KindAsset], thingRecordOf
}

// keyFoldOf is the key by which an item was listed.
func keyFoldOf(item fields) string {
	if _, ok := item.object["thing"]; ok {
		item = item.nested("thing")
	}
	return item.nested("node").text("keyFold")
}

// RecordsByID returns the records of objects; those that do not exist are left
// out.
func (s *Store) RecordsByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Record, error) {
	var out []registry.Record
	for part := range slices.Chunk(ids, recordPage) {
		records, _, err := one(ctx, s.reading(scope), recordsByID, params{"ids": texts(part), "builtIn": builtInTypes}, func(f fields) []registry.Record {
			var out []registry.Record
			for _, item := range f.maps("items") {
				if record := anyRecordOf(item); record != nil {
					out = append(out, record)
				}
			}
			return out
		})
		if err != nil {
			return nil, fmt.Errorf("records by id: %w", err)
		}
		if err := s.recordDesired(ctx, scope, records); err != nil {
			return nil, err
		}
		motion, err := s.motionByID(ctx, scope, part)
		if err != nil {
			return nil, fmt.Errorf("records by id: %w", err)
		}
		out = slices.Concat(out, records, motion)
	}
	return out, nil
}

func anyRecordOf(f fields) registry.Record {
	switch {
	case f.object["thing"] != nil:
		return thingRecordOf(f)
	case f.object["policy"] != nil:
		return policyRecordOf(f.nested("policy"))
	case f.object["profile"] != nil:
		return profileRecordOf(f.nested("profile"))
	case f.object["templateNode"] != nil:
		return templateRecordOf(f.nested("templateNode"))
	}
	return measureTypeRecordOf(f.nested("measureType"))
}

func measureTypeRecordOf(f fields) *registry.MeasureTypeRecord {
	object := objectOf(f)
	r := &registry.MeasureTypeRecord{
		Name: f.text("name"), ValueType: registry.ValueType(f.text("valueType")), Unit: f.optionalText("unit"), Description: f.optionalText("description"),
	}
	r.Values, r.Fields = measureTypeShape(f)
	f.json("annotations", &r.Annotations)
	r.Stamp, r.Revision = stampOf(object, f.text("keyFold"))
	return r
}

// templateRecordOf is nil for a built-in template, which every account has.
func templateRecordOf(f fields) registry.Record {
	t := templateOf(f)
	if t.Open {
		return nil
	}
	return &registry.TemplateRecord{
		Kind: t.Kind, Name: t.Name, Version: t.Version, Status: t.Status, Description: t.Description, Properties: t.Properties,
		Required: t.Required, Relations: t.Relations, Measures: t.Measures, Components: t.Components, Searched: t.Searched,
		Annotations: t.Annotations, Behaviour: t.Behaviour,
		Revision: t.Revision, PublishedAt: t.PublishedAt, Stamp: registry.Stamp{ID: t.ID, CreatedAt: &t.CreatedAt, Order: f.text("keyFold")},
	}
}

func policyRecordOf(f fields) *registry.PolicyRecord {
	p := policyFrom(f.nested("node"), nil)
	r := &registry.PolicyRecord{Reference: p.Reference, Type: p.Type, Description: p.Description, Document: p.Document, AppliesTo: f.texts("groups")}
	r.Stamp, r.Revision = stampOf(p.Object, f.nested("node").text("keyFold"))
	return r
}

func profileRecordOf(f fields) *registry.ProfileRecord {
	p := profileOf(f)
	r := &registry.ProfileRecord{
		Kind: p.Kind, Template: p.TemplateName, Name: p.Name, Description: p.Description, Attributes: p.Attributes, Relations: p.Relations(),
	}
	r.Stamp, r.Revision = stampOf(p.Object, f.nested("node").text("keyFold"))
	return r
}

func stampOf(o registry.Object, order string) (registry.Stamp, registry.Revision) {
	return registry.Stamp{ID: o.ID, CreatedAt: &o.CreatedAt, Order: order}, registry.Revision{Version: o.Version, UpdatedAt: &o.UpdatedAt}
}

func thingRecordOf(f fields) registry.Record {
	thing := thingOf(f.nested("thing"))
	if *f.fail != nil {
		return nil
	}
	r := &registry.ThingRecord{Kind: kindOf(thing), Attributes: attributesIn(thing)}
	whole := f.optionalText("whole")
	r.Stamp, r.Revision = stampOf(objectIn(thing), f.nested("thing").nested("node").text("keyFold"))
	switch thing := thing.(type) {
	case *registry.Group:
		r.Path, r.Description = thing.Path, thing.Description
	case *registry.Device:
		r.Reference, r.Description, r.State = thing.Reference, thing.Description, thing.State
		r.ExternalReference, r.ImageURL, r.Connected = thing.ExternalReference, thing.ImageURL, thing.Connected
		if whole != nil && thing.ComponentName != nil {
			r.ComponentOf, r.ComponentName = *whole, *thing.ComponentName
		}
	case *registry.Asset:
		r.Reference, r.Description, r.State = thing.Reference, thing.Description, thing.State
		r.ExternalReference, r.ImageURL, r.Connected = thing.ExternalReference, thing.ImageURL, thing.Connected
		if whole != nil {
			r.PartOf = *whole
		}
	}
	if template := f.list("template"); len(template) == 2 {
		name, _ := template[0].(string)
		version, _ := template[1].(int64)
		if name != registry.OpenTemplate {
			r.Template, r.TemplateVersion = name, int(version)
		}
	}
	r.Relations = relationRecordsOf(f)
	for _, l := range f.maps("links") {
		r.Links = append(r.Links, linkRecordOf(r.Reference, l))
	}
	slices.SortFunc(r.Links, func(x, y *registry.LinkRecord) int {
		if c := x.Since.Compare(y.Since); c != 0 {
			return c
		}
		return strings.Compare(Fold(x.Asset), Fold(y.Asset))
	})
	return r
}

func linkRecordOf(device string, f fields) *registry.LinkRecord {
	r := &registry.LinkRecord{ID: f.id("id"), Device: device, Asset: f.text("asset"), Since: f.millis("since"), Until: f.optionalMillis("until")}
	from, to := f.texts("deviceMeasures"), f.texts("assetMeasures")
	for i := range min(len(from), len(to)) {
		r.Measures = append(r.Measures, registry.MeasureMapping{Device: from[i], Asset: to[i]})
	}
	return r
}

// relationRecordsOf gathers a thing's relations by name, members before tags,
// the keys in order.
func relationRecordsOf(f fields) []registry.RelationsRecord {
	type way struct {
		name string
		tag  bool
	}
	byWay := map[way]*registry.RelationsRecord{}
	var ways []way
	for i, row := range f.list("relations") {
		values, ok := row.([]any)
		if !ok || len(values) != 4 {
			f.failed("%srelations[%d] is no relation", f.path, i)
			return nil
		}
		name, _ := values[0].(string)
		kind, _ := values[2].(string)
		key, _ := values[3].(string)
		w := way{name, values[1] == false}
		r := byWay[w]
		if r == nil {
			r = &registry.RelationsRecord{Name: name}
			if w.tag {
				r.Tag = &w.tag
			}
			byWay[w] = r
			ways = append(ways, w)
		}
		r.Add(registry.Kind(kind), key)
	}
	slices.SortFunc(ways, func(x, y way) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		if x.tag == y.tag {
			return 0
		} else if y.tag {
			return -1
		}
		return 1
	})
	out := make([]registry.RelationsRecord, len(ways))
	for i, w := range ways {
		out[i] = *byWay[w]
		for _, keys := range [][]string{out[i].Groups, out[i].Assets, out[i].Devices} {
			slices.SortFunc(keys, func(x, y string) int { return strings.Compare(Fold(x), Fold(y)) })
		}
	}
	return out
}
