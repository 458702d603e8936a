package graph

import (
	"context"
	"fmt"
	"reflect"

	"github.com/holon-registry/holon/registry"
)

var knownDevices = named("device.known", `
	UNWIND $keys AS key
	MATCH (d:Device) WHERE d.account = $account AND d.keyFold = key
	RETURN collect([d.keyFold, d.id, d.reference, [(d)-[:INSTANCE_OF]->(t) | t.id][0]]) AS devices`)

var knownAssets = named("asset.known", `
	UNWIND $keys AS key
	MATCH (a:Asset) WHERE a.account = $account AND a.keyFold = key
	RETURN collect({key: a.keyFold, id: a.id, reference: a.reference, template: [(a)-[:INSTANCE_OF]->(t) | t.id][0],
		feeds: [(a)<-[l:LINKED_TO]-(:Device) | {since: l.since, until: l.until, measures: l.assetMeasures}]}) AS assets`)

// KnownDevice is what a source of readings has to know of a device, or of an
// asset that is read by hand.
type KnownDevice struct {
	ID registry.ID
	// Reference is as the device was created with it.
	Reference  string
	TemplateID registry.ID
	// Feeds say when devices feed which measures of an asset.
	Feeds []registry.Feed
}

// KnownAssets finds assets by their references, as KnownDevices does devices.
func (s *Store) KnownAssets(ctx context.Context, scope registry.Scope, references []string) (map[string]KnownDevice, error) {
	keys := make([]string, len(references))
	for i, reference := range references {
		keys[i] = Fold(reference)
	}
	known, _, err := one(ctx, s.reading(scope), knownAssets, params{"keys": keys}, func(f fields) map[string]KnownDevice {
		rows := f.maps("assets")
		out := make(map[string]KnownDevice, len(rows))
		for _, row := range rows {
			out[row.text("key")] = KnownDevice{ID: row.id("id"), Reference: row.text("reference"), TemplateID: row.id("template"), Feeds: feedsOf(row)}
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("known assets: %w", err)
	}
	return known, nil
}

// feedsOf are the links that end at an asset, measure by measure.
func feedsOf(f fields) []registry.Feed {
	var out []registry.Feed
	for _, l := range f.maps("feeds") {
		for _, measure := range l.texts("measures") {
			out = append(out, registry.Feed{Measure: measure, Since: l.millis("since"), Until: l.optionalMillis("until")})
		}
	}
	return out
}

// KnownDevices finds devices by their references, in whatever case. The answer
// is by folded reference (see Fold); what does not exist is absent from it.
func (s *Store) KnownDevices(ctx context.Context, scope registry.Scope, references []string) (map[string]KnownDevice, error) {
	keys := make([]string, len(references))
	for i, reference := range references {
		keys[i] = Fold(reference)
	}
	known, _, err := one(ctx, s.reading(scope), knownDevices, params{"keys": keys}, func(f fields) map[string]KnownDevice {
		rows := f.list("devices")
		out := make(map[string]KnownDevice, len(rows))
		for _, row := range rows {
			four, ok := textsOf(row, 4)
			if !ok {
				f.failed("a device is %v", row)
				continue
			}
			out[four[0]] = KnownDevice{ID: registry.ID(four[1]), Reference: four[2], TemplateID: registry.ID(four[3])}
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("known devices: %w", err)
	}
	return known, nil
}

// textsOf reads a list of n texts.
func textsOf(value any, n int) ([]string, bool) {
	list, ok := value.([]any)
	if !ok || len(list) != n {
		return nil, false
	}
	out := make([]string, n)
	for i, item := range list {
		if out[i], ok = item.(string); !ok {
			return nil, false
		}
	}
	return out, true
}

// knownChanged are the devices and assets of which the change made something else
// of what KnownDevices or KnownAssets returned, and the account if it changed
// templates.
func (t *transaction) knownChanged() []registry.ID {
	var out []registry.ID
	templates := false
	for i := range t.entries {
		switch e := &t.entries[i]; e.kind {
		case registry.ObjectTemplate:
			templates = true
		case registry.ObjectDevice, registry.ObjectAsset:
			if e.changesKnown() {
				out = append(out, e.id)
			}
		}
	}
	if templates {
		out = append(out, t.scope.Account)
	}
	return out
}

// changesKnown leaves out what is made, since nothing is remembered of what is not
// there, and what devices report of themselves.
func (e *entry) changesKnown() bool {
	switch {
	case e.operation != registry.ChangeUpdate:
		return e.operation == registry.ChangeDelete
	case e.action == "linked" || e.action == "unlinked" || e.action == actionImported:
		return true
	}
	return !reflect.DeepEqual(e.before["template"], e.after["template"]) || e.before["reference"] != e.after["reference"]
}
