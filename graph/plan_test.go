package graph_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// scans are operators that read all accounts' nodes or relationships.
var scans = regexp.MustCompile(`AllNodesScan|ByLabelScan|ByLabelsScan|NodeIndexScan|NodeIndexContainsScan|NodeIndexEndsWithScan|RelationshipsScan|RelationshipTypeScan|RelationshipIndexScan|TypesScan`)

// maxSorted is how many rows a query may put in order; beyond that the order
// has to come from an index.
const maxSorted = 1000

// mayScan lists queries that may scan, with the reason.
var mayScan = map[string]string{
	"partition.make":   "partitions are few, and made once",
	"partition.count":  "partitions are few, and counted once a process",
	"seen.templates":   "templates that say when devices are silent have an index of their own",
	"alarm.templates":  "templates with alarms have an index of their own",
	"index.wanted":     "templates that declare something searched have an index of their own",
	"migration.done":   "migrations are few, and counted at the start of a process",
	"outbox.begin":     "accounts are looked at once, when something is published first of all",
	"outbox.backlogs":  "accounts are few, and only their journals are looked at",
	"history.accounts": "accounts are few, and looked at every ten minutes",
}

// mayNameNoAccount lists queries that are about no account, with the reason.
var mayNameNoAccount = map[string]string{
	"account.byName":          "finds the account",
	"key.principal":           "finds the account",
	"name.known":              "names belong to the whole database",
	"migration.done":          "is about the whole database",
	"migration.record":        "is about the whole database",
	"partition.make":          "is about the whole database",
	"partition.count":         "is about the whole database",
	"partition.raiseTopology": "a partition belongs to many accounts",
	"index.await":             "is about the whole database",
	"index.pending":           "is about the whole database",
	"index.show":              "is about the whole database",
	"seen.templates":          "is about all accounts",
	"keep.templates":          "is about all accounts",
	"alarm.templates":         "is about all accounts",
	"command.due":             "is about all accounts",
	"index.wanted":            "indexes are for all accounts",
	"words.missing":           "goes through all accounts, once",
	"words.fill":              "goes through all accounts, once",
	"lease.take":              "is about the whole database",
	"lease.give":              "is about the whole database",
	"link.moveDue":            "goes through all accounts",
	"seal.due":                "is about the whole database",
	"seal.read":               "buckets are found by seal.due",
	"seal.write":              "buckets are found by seal.due",
	"outbox.begin":            "one process publishes for all accounts",
	"outbox.backlogs":         "one process publishes for all accounts",
	"subscriber.expire":       "time goes on for all accounts",
	"history.accounts":        "finds the accounts",
	"history.ended0":          "the horizon is the same for all accounts",
	"history.ended1":          "the horizon is the same for all accounts",
	"history.ended2":          "the horizon is the same for all accounts",
	"history.ended3":          "the horizon is the same for all accounts",
	"history.ended4":          "the horizon is the same for all accounts",
	"history.gone":            "the horizon is the same for all accounts",
	"payload.sweep":           "time goes on for all accounts",
	"requeue.due":             "goes through all accounts",
	"statistics.refresh":      "is about the whole database",
}

// A partition's own queries are about the readings of many accounts; they find
// what they write by global ids that the account was checked with.
var partitionQueries = regexp.MustCompile(`^(append|partition)\.`)

// maySort are the queries that may put more rows in order: the order of the
// other ends of relationships is in no index. The rows are those of one
// sub-tree.
var maySort = regexp.MustCompile(`^(rehearsal\.members|related\.|group\.members|(device|asset|group)\.listUnder)`)

func TestPlans(t *testing.T) {
	config := testkit.Config(t)
	config.QueryTimeout = 2 * time.Minute // what fills the database is more than a request may do
	store, err := graph.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(context.WithoutCancel(t.Context())) })
	scope := testkit.Account(t, store)
	w := world{t, store, scope}
	w.seedLarge()
	for range 50 {
		newOther(w).seedSmall()
	}
	if err := store.RefreshStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	values := w.planValues()
	known := readKnownPlans(t)
	seen := map[string]bool{}
	for _, q := range graph.Queries() {
		seen[q.Name] = true
		if known.has(q) {
			continue
		}
		if mayNameNoAccount[q.Name] == "" && !partitionQueries.MatchString(q.Name) && !strings.Contains(q.Text, "$account") {
			t.Errorf("%s names no $account", q.Name)
		}
		plan, err := store.Explain(t.Context(), scope, q.Text)
		if err != nil {
			t.Errorf("explain %s: %v\n%s", q.Name, err, q.Text)
			continue
		}
		if part := startsAnew(plan); part != "" && mayScan[q.Name] == "" {
			t.Errorf("%s has a part that begins at no node that was found before: %s\n%s", q.Name, part, q.Text)
		}
		sorts := false
		for _, operator := range operators(plan) {
			if scans.MatchString(operator) && mayScan[q.Name] == "" {
				t.Errorf("%s: %s\n%s", q.Name, operator, q.Text)
			}
			sorts = sorts || strings.Contains(operator, "Sort") || strings.Contains(operator, "Top")
		}
		if sorts && !maySort.MatchString(q.Name) {
			w.checkSorted(q, values)
		}
	}
	w.checkSearchPlans(known)
	w.checkWalks()
	known.write(t)
	for name := range mayScan {
		if !seen[name] {
			t.Errorf("there is no query %s any more", name)
		}
	}
	for name := range mayNameNoAccount {
		if !seen[name] {
			t.Errorf("there is no query %s any more", name)
		}
	}
}

// checkSorted runs a query and looks at how many rows it put in order.
func (w world) checkSorted(q graph.Query, values func(name string) map[string]any) {
	w.Helper()
	p := values(q.Name)
	for _, parameter := range regexp.MustCompile(`\$\w+`).FindAllString(q.Text, -1) {
		if _, ok := p[parameter[1:]]; !ok && parameter != "$account" && parameter != "$actor" {
			w.Errorf("%s sorts: give the plan test a value for %s", q.Name, parameter)
			return
		}
	}
	profile, err := w.Profiled(w.Context(), w.scope, q.Text, p)
	if err != nil {
		w.Errorf("profile %s: %v", q.Name, err)
		return
	}
	var walk func(neo4j.ProfiledPlan)
	walk = func(node neo4j.ProfiledPlan) {
		operator := node.Operator()
		for _, child := range node.Children() {
			if (strings.Contains(operator, "Sort") || strings.Contains(operator, "Top")) && child.Records() > maxSorted {
				w.Errorf("%s: %s over %d rows\n%s", q.Name, operator, child.Records(), q.Text)
			}
			walk(child)
		}
	}
	walk(profile)
}

func operators(plan neo4j.Plan) []string {
	out := []string{plan.Operator()}
	for _, child := range plan.Children() {
		out = slices.Concat(out, operators(child))
	}
	return out
}

// A subquery inside of an expression (in a CASE, an aggregation or a list) is
// planned on its own, and no operator tells how: only its text stands among the
// details of the operator that runs it.
var (
	hiddenPart = regexp.MustCompile(`(?s)(?:COLLECT|EXISTS|COUNT) \{\s*MATCH (.*?)(?:\s(?:WHERE|RETURN|WITH)\s|\}\s*$)`)
	nodeNames  = regexp.MustCompile("\\((`[^`]+`|[\\pL_][\\pL\\d_@]*)")
)

// startsAnew returns a hidden part that does not start at a node that is known
// outside of it, and so may scan; empty if there is none.
func startsAnew(plan neo4j.Plan) string {
	known := map[string]bool{}
	for _, name := range plan.Identifiers() {
		known[strings.Trim(name, "`")] = true
	}
	for _, child := range plan.Children() {
		if part := startsAnew(child); part != "" {
			return part
		}
		for _, name := range child.Identifiers() {
			known[strings.Trim(name, "`")] = true
		}
	}
	details, _ := plan.Arguments()["Details"].(string)
	for _, part := range hiddenPart.FindAllStringSubmatch(details, -1) {
		anchored := false
		var names []string
		for _, name := range nodeNames.FindAllStringSubmatch(part[1], -1) {
			names = append(names, strings.Trim(name[1], "`"))
			anchored = anchored || known[names[len(names)-1]]
		}
		if !anchored {
			return part[0]
		}
		for _, name := range names { // for parts of this part
			known[name] = true
		}
	}
	return ""
}

// planValues gives values to parameters, by name and in part by the query's
// noun.
func (w world) planValues() func(query string) map[string]any {
	groups := must(w.ListGroups(w.Context(), w.scope, registry.Filter{}, registry.PageRequest{Size: 100}))
	devices := must(w.ListDevices(w.Context(), w.scope, registry.Filter{}, registry.PageRequest{Size: 100}))
	assets := must(w.ListAssets(w.Context(), w.scope, registry.Filter{}, registry.PageRequest{Size: 100}))
	policies := must(w.ListPolicies(w.Context(), w.scope, nil, registry.PageRequest{Size: 100}))
	ids := map[string][]string{}
	for _, g := range groups.Items {
		ids["group"] = append(ids["group"], string(g.ID))
	}
	for _, d := range devices.Items {
		ids["device"] = append(ids["device"], string(d.ID))
	}
	for _, a := range assets.Items {
		ids["asset"] = append(ids["asset"], string(a.ID))
	}
	for _, p := range policies.Items {
		ids["policy"] = append(ids["policy"], string(p.ID))
	}
	keys := map[string]string{"group": "/site1", "device": "d00100", "asset": "a00100", "policy": "p10", "measureType": "m", "template": "device/t1/000001", "deadLetter": "0"}
	return func(query string) map[string]any {
		noun, _, _ := strings.Cut(query, ".")
		key, known := keys[noun]
		if !known {
			key = "/site1"
		}
		if query == "policy.explain" {
			noun, key = "device", "p10"
		}
		of := ids[noun]
		if len(of) == 0 || query == "policy.inherited" {
			of = ids["device"]
		}
		out := historyValues(ids)
		maps.Copy(out, map[string]any{
			"key": key, "limit": 101, "marks": true, "own": true, "ids": of, "id": of[min(30, len(of)-1)], "under": "/site1", "template": "t1", "state": "ACTIVE",
			"kind": "DEVICE", "nameFold": "t1", "statuses": []string{"DRAFT", "PUBLISHED"}, "target": "", "newest": []any{map[string]any{"kind": "DEVICE", "nameFold": "t1"}}, "type": "t1", "reason": "MALFORMED", "references": []string{"d00100"}, "name": "x",
			"paths": []string{"/site1", "/site1/room3"}, "keys": []string{"/site1", "d00100", "a00100"}, "levels": 32, "parent": "/site2", "long": 300, "measureTypes": []string{}, "builtIn": []string{"CHILD_OF"}, "ended": []string{"located_at OUT x"},
			"idFrom": "", "idTo": "~", "source": nil,
			"known": int64(1), "mostNews": 250, "groups": ids["group"],
			"severity": nil, "active": nil, "open": true, "device": ids["device"][0],
			"slots": true, "now": time.Now().UTC(), "size0": 20, "size1": 20, "size2": 20, "measure": "t", "measures": []string{"t"}, "wanted": []any{[]any{"t", ""}}, "twin": ids["device"][0], "whole": ids["asset"][0],
			"from": int64(0), "to": int64(1 << 50), "low": int64(0), "high": int64(1 << 50), "after": int64(0), "before": int64(1 << 50), "every": int64(3_600_000),
			"link": "x", "series": []any{}, "longer": []string{}, "buckets": []any{}, "most": 20,
		})
		return out
	}
}

// seedLarge makes 20,000 devices, each in two of 420 groups, 2,000 assets, 20
// templates and 100 policies.
func (w world) seedLarge() {
	w.Helper()
	for i := range 20 {
		w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: fmt.Sprintf("T%d", i)})
	}
	w.seed(20, 20, 20_000, 2_000)
	for i := range 100 {
		site := i % 20
		_, err := w.CreatePolicy(w.Context(), w.scope, registry.NewPolicy{
			Reference: fmt.Sprintf("p%d", i), Type: fmt.Sprintf("t%d", i%5), Document: map[string]any{}, AppliesTo: []string{fmt.Sprintf("/site%d", site), fmt.Sprintf("/site%d/room%d", site, i/20)},
		})
		if err != nil {
			w.Fatal(err)
		}
	}
}

func (w world) seedSmall() { w.seed(2, 2, 40, 10) }

// seed makes things of open templates, whatever templateFold says.
func (w world) seed(sites, rooms, devices, assets int) {
	w.Helper()
	for _, text := range []string{`
		MATCH (top:Group) WHERE top.account = $account AND top.keyFold = '/'
		MATCH (gt:Template) WHERE gt.account = $account AND gt.keyFold = 'group/open/000001'
		UNWIND range(0, $sites - 1) AS i
		CREATE (site:Group:Entity {id: randomUUID(), account: $account, keyFold: '/site' + i, path: '/site' + i, name: 'site' + i, depth: 1,
			templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})
		CREATE (top)<-[:CHILD_OF]-(site)-[:INSTANCE_OF]->(gt)
		WITH site, gt
		UNWIND range(0, $rooms - 1) AS j
		CREATE (room:Group:Entity {id: randomUUID(), account: $account, keyFold: site.path + '/room' + j, path: site.path + '/room' + j, name: 'room' + j, depth: 2,
			templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})
		CREATE (site)<-[:CHILD_OF]-(room)-[:INSTANCE_OF]->(gt)`, `
		MATCH (t:Template) WHERE t.account = $account AND t.keyFold = 'device/open/000001'
		MATCH (room:Group) WHERE room.account = $account AND room.keyFold IS NOT NULL AND room.depth = 2
		WITH t, collect(room) AS rooms
		UNWIND range(0, $devices - 1) AS i
		WITH t, i, rooms[i % size(rooms)] AS one, rooms[(i * 7 + 1) % size(rooms)] AS other
		CREATE (d:Device:Entity {id: randomUUID(), account: $account, keyFold: 'd' + right('0000' + i, 5), reference: 'd' + right('0000' + i, 5),
			state: 'ACTIVE', templateFold: 't' + (i % 20), version: 1, createdAt: datetime(), updatedAt: datetime()})
		CREATE (one)<-[:LOCATED_AT]-(d)-[:INSTANCE_OF]->(t)
		CREATE (d)-[:NEAR]->(other)`, `
		MATCH (t:Template) WHERE t.account = $account AND t.keyFold = 'asset/open/000001'
		MATCH (room:Group) WHERE room.account = $account AND room.keyFold IS NOT NULL AND room.depth = 2
		WITH t, collect(room) AS rooms
		UNWIND range(0, $assets - 1) AS i
		WITH t, i, rooms[i % size(rooms)] AS one
		CREATE (a:Asset:Entity {id: randomUUID(), account: $account, keyFold: 'a' + right('0000' + i, 5), reference: 'a' + right('0000' + i, 5),
			state: 'ACTIVE', templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})
		CREATE (one)<-[:STANDS_IN]-(a)-[:INSTANCE_OF]->(t)`, `
		MATCH (d:Device) WHERE d.account = $account AND d.keyFold STARTS WITH 'd000'
		MATCH (a:Asset) WHERE a.account = $account AND a.keyFold = 'a' + substring(d.keyFold, 1)
		CREATE (d)-[:LINKED_TO {id: randomUUID(), since: 0, deviceMeasures: ['t'], assetMeasures: ['t']}]->(a)
		CREATE (d)-[:HAS_SERIES]->(s:Series {id: randomUUID(), key: randomUUID(), measure: 't', type: 'NUMBER', generation: 1, lastAt: 9, lastValue: 1.0})
		CREATE (a)-[:HAS_SERIES]->(z:Series {id: randomUUID(), key: randomUUID(), measure: 't', type: 'NUMBER', generation: 1})
		CREATE (s)-[:HAS_BUCKET]->(b:Bucket {from: 0, to: 100, count: 10, first: 0, last: 9})<-[:HAS_BUCKET]-(z)
		CREATE (s)-[:HAS_NEWEST]->(b)<-[:HAS_NEWEST]-(z)
		FOREACH (at IN range(0, 9) | CREATE (b)-[:HAS_MEASUREMENT]->(:Measurement {at: at, value: 1.0}))
		CREATE (:DeadLetter:Entity {id: randomUUID(), account: $account, keyFold: randomUUID(), reason: 'MALFORMED', reference: d.reference})
		CREATE (:DeadLetter:Entity {id: randomUUID(), account: $account, keyFold: randomUUID(), reason: 'MALFORMED', reference: '', assetReference: a.reference})`} {
		p := map[string]any{"sites": sites, "rooms": rooms, "devices": devices, "assets": assets}
		if _, err := w.Cypher(w.Context(), w.scope, text, p); err != nil {
			w.Fatal(err)
		}
	}
}
