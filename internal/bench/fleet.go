package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// hierarchies are the tops of the group trees; each group has fan children. A
// device has a relation into each of the first three.
var hierarchies = []string{"location", "supplier", "operator", "network", "product"}

var memberships = []string{"located_at", "supplied_by", "operated_by"}

const (
	fan          = 4
	templateName = "sensor"
)

var measures = [2]string{"temperature", "humidity"}

// fleet is what the graph is filled with.
type fleet struct {
	random *rand.Rand
	// groups are the paths of each hierarchy, its top first, level by level.
	groups  [][]string
	devices []*device
	// start is the time of the first reading of each device; they follow every
	// ten seconds.
	start time.Time
	// chain is how many policies a device inherits, on average.
	chain float64
}

type device struct {
	id        registry.ID
	reference string
	// sent counts its readings.
	sent int
}

const readingEvery = 10 * time.Second

// at is the time of a device's reading.
func (f *fleet) at(number int) time.Time { return f.start.Add(time.Duration(number) * readingEvery) }

func makeFleet(ctx context.Context, r *runner) (*fleet, error) {
	f := &fleet{random: rand.New(rand.NewPCG(r.Seed, r.Seed))}
	// No reading may lie in the future, whichever ways of writing there are.
	sent := (r.Rounds + 1) * len(r.Parts) * 3 * (r.Readings/r.ReadingDevices + workerBurst)
	f.start = time.Now().Add(-time.Duration(sent)*readingEvery - time.Hour).UTC().Truncate(time.Second)
	number := []registry.MeasureDeclaration{{Name: measures[0], Type: "number", Unit: "Cel"}, {Name: measures[1], Type: "number", Unit: "%"}}
	rules := make([]registry.RelationRule, len(memberships))
	for i, name := range memberships {
		rules[i] = registry.RelationRule{Name: name, Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}
	}
	template, err := r.Graph.CreateTemplate(ctx, r.Scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: templateName, Publish: true, Measures: number, Relations: rules,
		Properties: map[string]any{"firmware": map[string]any{"type": "string"}, "floor": map[string]any{"type": "integer"}},
	})
	if err != nil {
		return nil, err
	}
	if err := f.makeGroups(ctx, r); err != nil {
		return nil, err
	}
	if err := f.makeDevices(ctx, r, template.ID); err != nil {
		return nil, err
	}
	if err := f.makePolicies(ctx, r); err != nil {
		return nil, err
	}
	if err := r.Graph.RefreshStatistics(ctx); err != nil {
		return nil, err
	}
	return f, f.countPolicies(ctx, r)
}

// Objects are made in bulk, with the same properties as the store gives them.
func object(key string, now time.Time) map[string]any {
	return map[string]any{"id": uuid.Must(uuid.NewV7()).String(), "version": 1, "createdAt": now, "updatedAt": now, "keyFold": strings.ToLower(key)}
}

const makeGroups = `
	MATCH (t:Template {account: $account, kind: 'GROUP', nameFold: 'open'})
	UNWIND $rows AS row
	MATCH (above:Group {account: $account, keyFold: row.above})
	CREATE (n:Group:Entity)-[:CHILD_OF]->(above)
	SET n = row.node, n.account = $account, n.templateFold = 'open'
	CREATE (n)-[:INSTANCE_OF]->(t)`

func (f *fleet) makeGroups(ctx context.Context, r *runner) error {
	now := time.Now().UTC().Truncate(time.Millisecond)
	depths := map[string]int{"/": 0}
	for _, top := range hierarchies {
		f.groups = append(f.groups, []string{"/" + top})
	}
	levels := map[int][]any{}
	add := func(path, above string) {
		depths[path] = depths[above] + 1
		node := object(path, now)
		node["path"], node["name"], node["depth"] = path, path[strings.LastIndexByte(path, '/')+1:], depths[path]
		levels[depths[path]] = append(levels[depths[path]], map[string]any{"above": above, "node": node})
	}
	for h := range f.groups {
		add(f.groups[h][0], "/")
		for i := 1; i < r.Groups/len(hierarchies); i++ {
			above := f.groups[h][(i-1)/fan]
			path := fmt.Sprintf("%s/g%d", above, i)
			f.groups[h] = append(f.groups[h], path)
			add(path, above)
		}
	}
	for depth := 1; len(levels[depth]) > 0; depth++ {
		if err := r.write(ctx, makeGroups, map[string]any{"account": string(r.Scope.Account), "rows": levels[depth]}); err != nil {
			return err
		}
	}
	return nil
}

const makeDevices = `
	MATCH (t:Entity {id: $template})
	UNWIND $rows AS row
	CREATE (n:Device:Entity)
	SET n = row.node, n.account = $account, n.templateFold = t.nameFold
	CREATE (n)-[:INSTANCE_OF]->(t)
	WITH n, row
	UNWIND row.groups AS pair
	MATCH (g:Group {account: $account, keyFold: pair[1]})
	CREATE (n)-[:$(pair[0])]->(g)`

func (f *fleet) makeDevices(ctx context.Context, r *runner, template registry.ID) error {
	now := time.Now().UTC().Truncate(time.Millisecond)
	var rows []any
	for i := range r.Devices {
		d := &device{reference: fmt.Sprintf("device-%05d", i)}
		node := object(d.reference, now)
		d.id = registry.ID(node["id"].(string))
		node["reference"], node["state"], node["description"] = d.reference, "ACTIVE", fmt.Sprintf("Sensor number %d", i)
		node["firmware"], node["floor"] = fmt.Sprintf("F%03d", f.random.IntN(20)), int64(f.random.IntN(30))
		var in []any
		for h, name := range memberships {
			groups := f.groups[h]
			// Devices are where the tree ends.
			in = append(in, []any{strings.ToUpper(name), groups[len(groups)/fan+f.random.IntN(len(groups)-len(groups)/fan)]})
		}
		f.devices = append(f.devices, d)
		if rows = append(rows, map[string]any{"node": node, "groups": in}); len(rows) == 2000 || i+1 == r.Devices {
			if err := r.write(ctx, makeDevices, map[string]any{"account": string(r.Scope.Account), "template": string(template), "rows": rows}); err != nil {
				return err
			}
			rows = nil
		}
	}
	return nil
}

// makePolicies puts policies on one to three groups of different hierarchies
// that devices are in, near the tops of these, so that each device has some.
func (f *fleet) makePolicies(ctx context.Context, r *runner) error {
	for i := range r.Policies {
		var groups []string
		for _, h := range f.random.Perm(len(memberships))[:1+f.random.IntN(len(memberships))] {
			groups = append(groups, f.groups[h][f.random.IntN(min(len(f.groups[h]), 1+fan+fan*fan))])
		}
		description := fmt.Sprintf("Policy number %d of the benchmark", i)
		_, err := r.Graph.CreatePolicy(ctx, r.Scope, registry.NewPolicy{
			Reference: fmt.Sprintf("policy-%04d", i), Type: []string{"retention", "access", "alarm"}[i%3], Description: &description,
			Document: map[string]any{"level": float64(i % 5), "days": float64(30 * (1 + i%12))}, AppliesTo: groups,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// countPolicies finds out how long the chains of some devices are.
func (f *fleet) countPolicies(ctx context.Context, r *runner) error {
	ids := make([]registry.ID, min(500, len(f.devices)))
	for i := range ids {
		ids[i] = f.devices[i].id
	}
	chains, err := r.Graph.InheritedPolicyReferences(ctx, r.Scope, ids, nil)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		f.chain += float64(len(chain)) / float64(len(ids))
	}
	return nil
}
