package graph_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// kept is a device with readings for some days, linked to an asset from the
// second of them on, on a clock of its own.
type kept struct {
	*field
	device *registry.Device
	asset  *registry.Asset
	start  time.Time
	now    *time.Time
}

// Buckets are an hour long if there is more than a reading a minute.
const (
	keptDays  = 3
	keptEvery = 50 * time.Second
)

func newKept(t *testing.T, device, asset registry.Keep) *kept {
	now := time.Now().UTC().Truncate(time.Hour)
	config := testkit.Config(t)
	config.Clock = func() time.Time { return now }
	f := newField(t)
	var err error
	if f.store, err = graph.Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close(t.Context()) })
	f.template(registry.KindDevice, "meter", registry.MeasureDeclaration{Name: "level", Type: "number", Unit: "L", Keep: device}, registry.MeasureDeclaration{Name: "open", Type: "boolean"})
	f.template(registry.KindAsset, "tank", registry.MeasureDeclaration{Name: "fill", Type: "number", Unit: "L", Keep: asset})
	k := &kept{field: f, device: f.device("m", "meter"), asset: f.asset("tank", "tank"), start: now.Add(-keptDays * 24 * time.Hour).Truncate(24 * time.Hour), now: &now}
	f.mustLink("m", "tank", k.start.Add(24*time.Hour), registry.MeasureMapping{Device: "level", Asset: "fill"})
	var readings []registry.AcceptedReading
	for at := k.start; at.Before(k.end()); at = at.Add(keptEvery) {
		n := float64(at.Sub(k.start) / keptEvery)
		readings = append(readings, f.reading(k.device, at, map[string]any{"level": float64(int(n*7) % 101), "open": int(n)%3 == 0}))
	}
	for part := range slices.Chunk(readings, 2000) {
		f.send(part...)
	}
	k.seal()
	return k
}

func (k *kept) end() time.Time { return k.start.Add(keptDays * 24 * time.Hour) }

func (k *kept) seal() {
	k.Helper()
	if _, err := k.store.SealAccount(k.Context(), k.scope); err != nil {
		k.Fatal(err)
	}
}

// after sweeps some time after the end of the readings.
func (k *kept) after(length time.Duration) {
	k.Helper()
	*k.now = k.end().Add(length)
	if err := k.store.SweepMeasurements(k.Context()); err != nil {
		k.Fatal(err)
	}
}

func (k *kept) aggregates(twin registry.ID, measure string, every time.Duration) map[registry.AggregateFunction][]*registry.AggregatePoint {
	k.Helper()
	out := map[registry.AggregateFunction][]*registry.AggregatePoint{}
	for _, function := range []registry.AggregateFunction{
		registry.AggregateCount, registry.AggregateMin, registry.AggregateMax, registry.AggregateSum, registry.AggregateMean, registry.AggregateFirst, registry.AggregateLast,
		registry.AggregateTimeWeightedMean, registry.AggregateIncrease,
	} {
		points, err := k.store.Aggregate(k.Context(), k.scope, twin, registry.Aggregation{Measure: measure, From: k.start, To: k.end(), Every: every, Function: function})
		if err != nil {
			k.Fatalf("%s every %s: %v", function, every, err)
		}
		out[function] = points
	}
	return out
}

func (k *kept) expectAggregates(when string, want map[registry.AggregateFunction][]*registry.AggregatePoint, twin registry.ID, measure string, every time.Duration) {
	k.Helper()
	if diff := cmp.Diff(want, k.aggregates(twin, measure, every), cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		k.Errorf("%s, every %s of %s (-before +now):\n%s", when, every, measure, diff)
	}
}

// What is no longer kept one by one still answers, by its quarters of an hour,
// then by its days, and then it is gone; all else stays as it was.
func TestKeep(t *testing.T) {
	t.Parallel()
	const days = 24 * time.Hour
	k := newKept(t, registry.Keep{RawSeconds: (2 * days).Seconds(), HourlySeconds: (10 * days).Seconds(), DailySeconds: (20 * days).Seconds()}, registry.Keep{})
	quarters, whole := k.aggregates(k.device.ID, "level", 15*time.Minute), k.aggregates(k.device.ID, "level", days)
	shared := k.aggregates(k.asset.ID, "fill", days)
	all := len(k.samples(k.device.ID, "level"))
	open := k.samples(k.device.ID, "open")

	k.after(0)
	left := k.samples(k.device.ID, "level")
	if len(left) != all-int(days/keptEvery) || left[0].At != k.start.Add(days).UnixMilli() {
		t.Errorf("%d measurements are left of %d", len(left), all)
	}
	k.expectAggregates("without the first day", quarters, k.device.ID, "level", 15*time.Minute)
	k.expectAggregates("without the first day", whole, k.device.ID, "level", days)
	k.expectAggregates("without the first day", shared, k.asset.ID, "fill", days)
	if diff := cmp.Diff(open, k.samples(k.device.ID, "open")); diff != "" {
		t.Errorf("another measure (-before +now):\n%s", diff)
	}

	k.after(5 * days)
	if left := k.samples(k.device.ID, "level"); len(left) != 0 {
		t.Errorf("%d measurements are left", len(left))
	}
	k.expectAggregates("without measurements", quarters, k.device.ID, "level", 15*time.Minute)
	k.refusesWhatIsLate()

	before := k.buckets(k.device.ID)
	k.after(10 * days)
	k.expectAggregates("with days only", whole, k.device.ID, "level", days)
	k.expectAggregates("with days only", shared, k.asset.ID, "fill", days)
	if hours := k.aggregates(k.device.ID, "level", time.Hour)[registry.AggregateMean]; len(hours) != 0 {
		t.Errorf("days answer as %d hours", len(hours))
	}
	if now := k.buckets(k.device.ID); now >= before {
		t.Errorf("%d buckets became %d", before, now)
	}

	k.after(20*days + time.Hour)
	if points := k.aggregates(k.device.ID, "level", days)[registry.AggregateCount]; len(points) > 1 {
		t.Errorf("%d days are left", len(points))
	}
	series, err := k.store.SeriesOf(t.Context(), k.scope, []registry.ID{k.device.ID, k.asset.ID})
	if err != nil {
		t.Fatal(err)
	}
	for i, measure := range []string{"level", "fill"} {
		j := slices.IndexFunc(series[i], func(s *registry.Series) bool { return s.Measure == measure })
		if j < 0 || series[i][j].Last == nil || series[i][j].Last.Value != float64((keptDays*1728-1)*7%101) {
			t.Errorf("the last value of %s is lost", measure)
		}
	}
}

// refusesWhatIsLate sends what may be a repeat of what is gone, and what cannot.
func (k *kept) refusesWhatIsLate() {
	k.Helper()
	k.expect(k.send(k.reading(k.device, k.start.Add(time.Second), map[string]any{"level": 1.0})), 0, 0, 1, 0)
	letters, err := k.store.ListDeadLetters(k.Context(), k.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 10})
	if err != nil {
		k.Fatal(err)
	}
	for _, letter := range letters.Items {
		if letter.Reason != registry.ReasonNoLongerKept {
			k.Errorf("refused as %s: %s", letter.Reason, letter.Message)
		}
	}
	early := k.start.Add(-time.Hour)
	k.expect(k.send(k.reading(k.device, early, map[string]any{"level": 1.0})), 1, 0, 0, 1)

	// Decoding anew asks beforehand.
	template, err := k.store.Template(k.Context(), k.scope, registry.KindDevice, "meter", nil, nil)
	if err != nil {
		k.Fatal(err)
	}
	wanted := func(at time.Time, value any) registry.WantedValue {
		return registry.WantedValue{MeasureTime: gaveAt("level", at)[0], Value: value}
	}
	got, err := k.store.Standings(k.Context(), k.scope, k.device.ID, template, []registry.WantedValue{
		wanted(k.start.Add(time.Second), 1.0), wanted(k.start, nil), wanted(k.end(), 1.0), wanted(early, 1.0), wanted(early.Add(-24*time.Hour), 1.0),
	})
	if diff := cmp.Diff([]registry.Standing{registry.StandingGone, registry.StandingGone, registry.StandingAbsent, registry.StandingSame, registry.StandingAbsent}, got); diff != "" || err != nil {
		k.Errorf("standings: %v, -want +got\n%s", err, diff)
	}
}

// What a device and an asset share is kept for as long as one of them says.
func TestKeepAsLongAsAnybodyDoes(t *testing.T) {
	k := newKept(t, registry.Keep{RawSeconds: 3600}, registry.Keep{RawSeconds: (30 * 24 * time.Hour).Seconds()})
	asset := k.samples(k.asset.ID, "fill")
	k.after(24 * time.Hour)
	if diff := cmp.Diff(asset, k.samples(k.device.ID, "level")); diff != "" {
		t.Errorf("what the asset has, and what is left of the device's (-want +got):\n%s", diff)
	}
}

// A worker that knows a bucket finds out that it was swept meanwhile. What is
// newer than all that was there cannot be a repeat.
func TestKeepBesideAWorker(t *testing.T) {
	k := newKept(t, registry.Keep{RawSeconds: 3600}, registry.Keep{})
	k.after(24 * time.Hour) // the worker remembers the newest bucket
	// Nothing is looked at again before it can be due.
	visited := func() int {
		return k.number(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->(s {measure: 'level'}) RETURN count(s.keptAt)`, map[string]any{"id": string(k.device.ID)})
	}
	k.query(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->(s) WHERE s.account = $account REMOVE s.keptAt RETURN 1`, map[string]any{"id": string(k.device.ID)})
	if k.after(24*time.Hour + 9*time.Minute); visited() != 0 {
		t.Error("a series was looked at again")
	}
	if k.after(24*time.Hour + 10*time.Minute); visited() != 1 {
		t.Error("a series was not looked at again")
	}
	before := len(k.samples(k.device.ID, "level"))
	newer := map[string]any{"level": 1.0, "open": true}
	k.expect(k.send(k.reading(k.device, k.end().Add(-time.Second), newer)), 1, 0, 0, 2)
	k.expect(k.send(k.reading(k.device, k.end().Add(-time.Second), newer)), 0, 1, 0, 0)
	if n := len(k.samples(k.device.ID, "level")); n != before+1 {
		t.Errorf("%d measurements became %d", before, n)
	}
	k.expect(k.send(k.reading(k.device, k.end().Add(time.Hour), map[string]any{"level": 2.0})), 1, 0, 0, 1)
}
