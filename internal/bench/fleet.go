package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holon-registry/holon/registry"
)

// hierarchies are the tops of the group trees; each group has fan children. A
// device has a relation into each of the first three.
var hierarchies = []string{"location", "supplier", "operator", "network", "product"}

var memberships = []string{"located_at", "supplied_by", "operated_by"}

const (
	fan          = 3
	templateName = "sensor"
)

// measures are those that a reading may have a value of, with their units.
// The first Values of them have one.
var measures = [...]registry.MeasureDeclaration{
	{Name: "temperature", Type: "number", Unit: "Cel"},
	{Name: "humidity", Type: "number", Unit: "%"},
	{Name: "pressure", Type: "number", Unit: "hPa"},
	{Name: "battery", Type: "number", Unit: "V"},
}

// fleet is what the graph is filled with.
type fleet struct {
	random *rand.Rand
	// values is how many a reading has.
	values int
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
	f := &fleet{values: r.Values, random: rand.New(rand.NewPCG(r.Seed, r.Seed))}
	// No reading may lie in the future, whichever ways of writing there are.
	sent := (r.Rounds + 1) * len(r.Parts) * 3 * (r.Readings/r.ReadingDevices + workerBurst)
	f.start = time.Now().Add(-time.Duration(sent)*readingEvery - time.Hour).UTC().Truncate(time.Second)
	rules := make([]registry.RelationRule, len(memberships))
	for i, name := range memberships {
		rules[i] = registry.RelationRule{Name: name, Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}
	}
	_, err := r.Graph.CreateTemplate(ctx, r.Scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: templateName, Publish: true, Measures: measures[:r.Values], Relations: rules,
		Properties: map[string]any{"firmware": map[string]any{"type": "string"}, "floor": map[string]any{"type": "integer"}},
		Searched:   []string{"firmware"},
	})
	if err != nil {
		return nil, err
	}
	if err := f.makeGroups(ctx, r); err != nil {
		return nil, err
	}
	if err := f.makeDevices(ctx, r); err != nil {
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

// chunk is how many objects a bulk request makes.
const chunk = 1000

// share is how many groups a hierarchy has. Half of all are in the last one,
// which nothing is a member of: it is what is moved.
func (r *runner) share(hierarchy int) int {
	if hierarchy == len(hierarchies)-1 {
		return r.Groups / 2
	}
	return r.Groups / 2 / (len(hierarchies) - 1)
}

func (f *fleet) makeGroups(ctx context.Context, r *runner) error {
	var all []registry.NewGroup
	for h, top := range hierarchies {
		f.groups = append(f.groups, []string{"/" + top})
		all = append(all, registry.NewGroup{Name: top})
		for i := 1; i < r.share(h); i++ {
			above, name := f.groups[h][(i-1)/fan], fmt.Sprintf("g%d", i)
			f.groups[h] = append(f.groups[h], above+"/"+name)
			all = append(all, registry.NewGroup{Parent: above, Name: name})
		}
	}
	return r.fill("groups", len(all), func(from, to int) (*registry.Bulk, error) {
		return r.Graph.CreateGroups(ctx, r.Scope, all[from:to], true)
	}, nil)
}

func (f *fleet) makeDevices(ctx context.Context, r *runner) error {
	all := make([]registry.NewTwin, r.Devices)
	for i := range all {
		reference, description := fmt.Sprintf("device-%06d", i), fmt.Sprintf("Sensor number %d", i)
		n := registry.NewTwin{
			Reference: reference, Template: templateName, Description: &description,
			Attributes: registry.Attributes{"firmware": fmt.Sprintf("F%03d", f.random.IntN(20)), "floor": f.random.IntN(30)},
		}
		for h, name := range memberships {
			// Devices are where the tree ends.
			groups := f.groups[h]
			path := groups[len(groups)/fan+f.random.IntN(len(groups)-len(groups)/fan)]
			n.Relations = append(n.Relations, registry.NewRelation{Name: name, To: []registry.Ref{{Kind: registry.KindGroup, Key: path}}})
		}
		all[i] = n
	}
	return r.fill("devices in three groups each", len(all), func(from, to int) (*registry.Bulk, error) {
		return r.Graph.CreateTwins(ctx, r.Scope, registry.KindDevice, all[from:to], true)
	}, func(made registry.Related) {
		d := made.(*registry.Device)
		f.devices = append(f.devices, &device{id: d.ID, reference: d.Reference})
	})
}

// fill makes n objects in bulk, and notes how fast that was.
func (r *runner) fill(what string, n int, make func(from, to int) (*registry.Bulk, error), each func(registry.Related)) error {
	began := time.Now()
	for from := 0; from < n; from += chunk {
		done, err := make(from, min(from+chunk, n))
		if err != nil {
			return fmt.Errorf("make %s: %w", what, err)
		}
		for _, result := range done.Results {
			if each != nil {
				each(result.Object)
			}
		}
	}
	r.noteFilled(what, n, began)
	return nil
}

// noteFilled notes how long n objects took.
func (r *runner) noteFilled(what string, n int, began time.Time) {
	took := time.Since(began)
	r.filled = append(r.filled, Filled{What: what, Objects: n, Seconds: took.Seconds(), PerSecond: float64(n) / took.Seconds()})
}

// makePolicies puts policies on one to three groups of different hierarchies
// that devices are in, near the tops of these, so that each device has some.
func (f *fleet) makePolicies(ctx context.Context, r *runner) error {
	for i := range r.Policies {
		var groups []string
		for _, h := range f.random.Perm(len(memberships))[:1+f.random.IntN(len(memberships))] {
			groups = append(groups, f.groups[h][f.random.IntN(min(len(f.groups[h]), max(1, r.Policies/20)))])
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
