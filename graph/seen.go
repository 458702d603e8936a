package graph

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// When a device was seen, as far as the graph knows, is the newest time of its
// measurements.

const seenDevice = `{account: d.account, id: d.id, silence: t.silence, madeAt: d.createdAt,
		lastAt: reduce(last = null, s IN [(d)-[:HAS_SERIES]->(x:Series) | x.lastAt] | CASE WHEN last IS NULL OR s > last THEN s ELSE last END)}`

// watchedPage is how many devices are read at a time.
const watchedPage = 1000

var (
	seenOf = named("seen.of", `
		UNWIND $ids AS id
		MATCH (d:Entity {id: id})
		WHERE d.account = $account AND d:Device
		MATCH (d)-[:INSTANCE_OF]->(t:Template)
		RETURN collect(`+seenDevice+`) AS devices`)

	// The templates of all accounts that say when devices are silent.
	seenTemplates = named("seen.templates", `
		MATCH (t:Template)
		WHERE t.silence > 0 AND t.keyFold IS NOT NULL AND t.status = 'PUBLISHED'
		RETURN collect(DISTINCT t.account + '/' + t.nameFold) AS templates`)

	seenWatched = named("seen.watched", `
		MATCH (d:Device)
		WHERE d.account = $account AND d.templateFold = $template AND d.keyFold > $key
		WITH d ORDER BY d.account, d.templateFold, d.keyFold LIMIT $limit
		MATCH (d)-[:INSTANCE_OF]->(t:Template)
		RETURN collect(d.keyFold) AS keys, collect(`+seenDevice+`) AS devices`)
)

func seenIn(f fields) []registry.Seen {
	rows := f.maps("devices")
	out := make([]registry.Seen, len(rows))
	for i, row := range rows {
		out[i] = registry.Seen{Account: row.id("account"), TwinID: row.id("id"), LastAt: row.optionalMillis("lastAt"), MadeAt: row.time("madeAt")}
		if silence := nullable[int64](row, "silence"); silence != nil {
			out[i].Silence = time.Duration(*silence) * time.Millisecond
		}
	}
	return out
}

// SeenOf returns when devices were seen: one slot an id, in order, the zero
// value for what is no device.
func (s *Store) SeenOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Seen, error) {
	found, _, err := one(ctx, s.reading(scope), seenOf, params{"ids": texts(ids)}, seenIn)
	if err != nil {
		return nil, fmt.Errorf("when devices were seen: %w", err)
	}
	known := make(map[registry.ID]registry.Seen, len(found))
	for _, seen := range found {
		known[seen.TwinID] = seen
	}
	return slots(ids, known), nil
}

// Watched returns devices of all accounts whose template, in whichever version,
// says when they are silent: a page after what the page before said, and what to
// go on after; empty at the end.
func (s *Store) Watched(ctx context.Context, after string) ([]registry.Seen, string, error) {
	templates, _, err := one(ctx, s.reading(registry.Scope{}), seenTemplates, nil, func(f fields) []string { return f.texts("templates") })
	if err != nil {
		return nil, "", fmt.Errorf("templates of devices that may fall silent: %w", err)
	}
	at, key, _ := strings.Cut(after, "|")
	chosen := ""
	for _, template := range templates {
		if template >= at && (chosen == "" || template < chosen) {
			chosen = template
		}
	}
	if chosen == "" {
		return nil, "", nil
	}
	if chosen != at {
		key = ""
	}
	account, name, _ := strings.Cut(chosen, "/")
	type page struct {
		devices []registry.Seen
		keys    []string
	}
	got, _, err := one(ctx, s.reading(registry.Scope{Account: registry.ID(account)}), seenWatched, params{"template": name, "key": key, "limit": watchedPage}, func(f fields) page {
		return page{seenIn(f), f.texts("keys")}
	})
	if err != nil {
		return nil, "", fmt.Errorf("devices that may fall silent: %w", err)
	}
	if n := len(got.keys); n == watchedPage {
		return got.devices, chosen + "|" + got.keys[n-1], nil
	}
	return got.devices, chosen + "\x00|", nil
}

// OnExpected sets what is told of each device that was made and whose template
// says when it is silent. It must not wait. Call it before the store is used.
func (s *Store) OnExpected(told func(devices []registry.Seen)) { s.expected = told }

// expect tells, once they are there, of the devices among things that are made.
func (s *Store) expect(tx *transaction, made []madeThing) {
	var devices []registry.Seen
	for _, m := range made {
		if m.silence > 0 {
			devices = append(devices, registry.Seen{Account: tx.scope.Account, TwinID: m.thing.NodeID(), MadeAt: tx.at, Silence: m.silence})
		}
	}
	if len(devices) > 0 && s.expected != nil {
		tx.onCommit(func() { s.expected(devices) })
	}
}
