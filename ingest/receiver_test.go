package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// devices is a store of devices that can be made to fail. It knows every
// reference that begins with "sensor".
type devices struct {
	err    atomic.Pointer[error]
	calls  atomic.Int64
	mu     sync.Mutex
	hidden map[string]bool
}

const (
	sensorTemplate registry.ID = "template-sensor"
	openTemplate   registry.ID = "template-open"
)

// idOf is the id of the device with a reference.
func idOf(account registry.ID, reference string) registry.ID {
	return registry.ID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(string(account)+"/"+reference)).String())
}

func (d *devices) fail(err error) { d.err.Store(&err) }

func (d *devices) KnownDevices(_ context.Context, scope registry.Scope, references []string) ([]*KnownDevice, error) {
	d.calls.Add(1)
	if err := d.err.Load(); err != nil && *err != nil {
		return nil, *err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := make([]*KnownDevice, len(references))
	for i, r := range references {
		if folded := strings.ToLower(r); strings.HasPrefix(folded, "sensor") && !d.hidden[folded] {
			found[i] = &KnownDevice{ID: idOf(scope.Account, folded), Reference: folded, TemplateID: sensorTemplate}
		} else if strings.HasPrefix(folded, "open") {
			found[i] = &KnownDevice{ID: idOf(scope.Account, folded), Reference: folded, TemplateID: openTemplate}
		}
	}
	return found, nil
}

// KnownAssets knows every asset that begins with "room", whose humidity a device
// feeds from noon on, or ever since if it is a fed one.
func (d *devices) KnownAssets(_ context.Context, scope registry.Scope, references []string) ([]*KnownDevice, error) {
	found := make([]*KnownDevice, len(references))
	for i, r := range references {
		if folded := strings.ToLower(r); strings.HasPrefix(folded, "room") {
			feed := registry.Feed{Measure: "humidity", Since: noon}
			if strings.HasSuffix(folded, "-fed") {
				feed.Since = noon.AddDate(-20, 0, 0)
			}
			found[i] = &KnownDevice{ID: idOf(scope.Account, folded), Reference: folded, TemplateID: sensorTemplate, Feeds: []registry.Feed{feed}}
		}
	}
	return found, nil
}

func (d *devices) TemplatesByID(_ context.Context, _ registry.Scope, ids []registry.ID) ([]*registry.Template, error) {
	found := make([]*registry.Template, len(ids))
	for i, id := range ids {
		switch id {
		case sensorTemplate:
			found[i] = &registry.Template{ID: id, Kind: registry.KindDevice, Name: "sensor", Behaviour: sensorBehaviour, Measures: []registry.MeasureDeclaration{
				{Name: "temperature", ValueType: registry.ValueNumber}, {Name: "humidity", ValueType: registry.ValueNumber},
				{Name: "open", ValueType: registry.ValueBoolean}, {Name: "status", ValueType: registry.ValueString}}}
		case openTemplate:
			found[i] = &registry.Template{ID: id, Name: "open", Open: true}
		}
	}
	return found, nil
}

// sensorBehaviour decodes payloads such as {"id": "sensor-1", "t": 215}.
var sensorBehaviour = registry.Behaviour{Decoder: &registry.TemplateDecoder{Name: "json", Options: map[string]any{
	"device": "id", "time": map[string]any{"path": "at", "format": "unix"}, "measures": map[string]any{"temperature": map[string]any{"path": "t", "scale": 0.1}},
}}}

func (d *devices) DeviceTemplate(ctx context.Context, scope registry.Scope, name string) (*registry.Template, error) {
	d.calls.Add(1)
	if err := d.err.Load(); err != nil && *err != nil {
		return nil, *err
	}
	if !strings.EqualFold(name, "sensor") {
		return nil, nil
	}
	found, err := d.TemplatesByID(ctx, scope, []registry.ID{sensorTemplate})
	return found[0], err
}

func (d *devices) DeviceTemplates(_ context.Context, _ registry.Scope, names []string) ([]*registry.Template, error) {
	return make([]*registry.Template, len(names)), nil
}

func (d *devices) Announce(_ context.Context, _ registry.Scope, devices []registry.NewTwin) ([]*registry.Error, error) {
	return make([]*registry.Error, len(devices)), nil
}

func (d *devices) Unfit(registry.Scope, *registry.Template, registry.Attributes) *registry.Error {
	return nil
}

func (d *devices) Report(_ context.Context, _ registry.Scope, reports []registry.Report, _ bool) ([]*registry.Error, error) {
	return make([]*registry.Error, len(reports)), nil
}

func newPrincipal() *registry.Principal {
	account := registry.ID(uuid.NewString())
	return &registry.Principal{Scope: registry.Scope{Account: account, AccountName: "acme-" + string(account)[:8]}}
}

func newReceiver(t testing.TB, q *Queue, d *devices, clock func() time.Time) *Receiver {
	t.Helper()
	r, err := NewReceiver(q, NewDirectory(d, clock), clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func clockAt(t *time.Time) func() time.Time { return func() time.Time { return *t } }

func TestReceiverQueuesWhatIsRight(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	receipt, err := r.Receive(t.Context(), who, "http", []registry.Reading{
		{Device: "Sensor-1", MeasuredAt: noon.Add(1234 * time.Microsecond), Values: map[string]any{"temperature": 1.0, "open": true, "status": "ok"}},
		{Device: "open-1", MessageID: "7", Values: map[string]any{"anything": "goes"}},
	})
	if err != nil || receipt.Accepted != 2 {
		t.Fatalf("got %+v, %v", receipt, err)
	}
	got := map[string]registry.AcceptedReading{}
	for p := range q.Partitions() {
		for _, e := range drain(t, q, p) {
			for _, one := range e.Readings {
				got[one.Reference] = one
			}
		}
	}
	first := got["sensor-1"]
	want := registry.AcceptedReading{Account: who.Account, DeviceID: idOf(who.Account, "sensor-1"), Reference: "sensor-1", Source: "http",
		MeasuredAt: noon.Add(time.Millisecond), ReceivedAt: first.ReceivedAt, Values: map[string]any{"temperature": 1.0, "open": true, "status": "ok"}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if second := got["open-1"]; second.MessageID != "7" || !second.MeasuredAt.Equal(second.ReceivedAt) {
		t.Errorf("got %+v", second)
	}
}

func TestReceiverRefuses(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	ok := registry.Reading{Device: "sensor-1", MeasuredAt: noon, Values: map[string]any{"temperature": 1.0}}
	with := func(change func(*registry.Reading)) registry.Reading {
		one := ok
		change(&one)
		return one
	}
	values := func(v map[string]any) registry.Reading { return with(func(r *registry.Reading) { r.Values = v }) }
	many := map[string]any{}
	for i := range 201 {
		many[fmt.Sprintf("m%d", i)] = 1.0
	}
	for name, c := range map[string]struct {
		bad    registry.Reading
		path   string
		rule   string
		reason registry.DeadLetterReason
	}{
		"no device":      {with(func(r *registry.Reading) { r.Device = "" }), "device", "required", registry.ReasonMalformed},
		"unknown device": {with(func(r *registry.Reading) { r.Device = "ghost" }), "device", "unknown", registry.ReasonUnknownDevice},
		"long device":    {with(func(r *registry.Reading) { r.Device = "sensor" + strings.Repeat("x", 2000) }), "device", "length", registry.ReasonUnknownDevice},
		"seconds":        {with(func(r *registry.Reading) { r.MeasuredAt = time.UnixMilli(1_700_000_000) }), "measuredAt", "range", registry.ReasonTimeOutOfBounds},
		"future":         {with(func(r *registry.Reading) { r.MeasuredAt = noon.Add(time.Hour) }), "measuredAt", "range", registry.ReasonTimeOutOfBounds},
		"message id":     {with(func(r *registry.Reading) { r.MessageID = strings.Repeat("x", 200) }), "messageId", "length", registry.ReasonMalformed},
		"no values":      {values(nil), "values", "required", registry.ReasonMalformed},
		"many values":    {values(many), "values", "length", registry.ReasonMalformed},
		"undeclared":     {values(map[string]any{"pressure": 1.0}), "values.pressure", "undeclared", registry.ReasonUndeclaredMeasure},
		"wrong type":     {values(map[string]any{"temperature": "hot"}), "values.temperature", "type", registry.ReasonWrongType},
		"long text":      {values(map[string]any{"status": strings.Repeat("x", 9000)}), "values.status", "length", registry.ReasonWrongType},
	} {
		t.Run(name, func(t *testing.T) {
			receipt, err := r.Receive(t.Context(), who, "http", []registry.Reading{ok, ok, ok, c.bad})
			if registry.CodeOf(err) != registry.CodeInvalid || receipt.Accepted != 0 {
				t.Fatalf("got %+v, %v", receipt, err)
			}
			refusal, ok := errors.AsType[*registry.Error](err)
			if !ok {
				t.Fatalf("got %v, want a *registry.Error", err)
			}
			violations := refusal.Violations
			if len(violations) != 1 || violations[0].Path != "[3]."+c.path || violations[0].Rule != c.rule || violations[0].Message == "" {
				t.Errorf("violations %+v", violations)
			}
			if receipt.Faults[0].Reason != c.reason {
				t.Errorf("reason %s, want %s", receipt.Faults[0].Reason, c.reason)
			}
		})
	}
	checkBooks(t, q, 0, 0)
	receipt, err := r.Submit(t.Context(), who, "http", Submission{Readings: []registry.Reading{ok, values(nil), ok}, Partial: true})
	if err != nil || receipt.Accepted != 2 || len(receipt.Faults) != 1 || receipt.Faults[0].Index != 1 {
		t.Errorf("partial: %+v, %v", receipt, err)
	}
	checkBooks(t, q, 2, 2)
}

func TestReceiverKeepsBoundKeysToTheirDevices(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	who.Key.DeviceIDs = []registry.ID{idOf(who.Account, "sensor-1")}
	reading := func(device string) []registry.Reading {
		return []registry.Reading{{Device: device, Values: map[string]any{"temperature": 1.0}}}
	}
	if _, err := r.Receive(t.Context(), who, "http", reading("sensor-1")); err != nil {
		t.Error(err)
	}
	_, other := r.Receive(t.Context(), who, "http", reading("sensor-2"))
	_, ghost := r.Receive(t.Context(), who, "http", reading("ghost"))
	if registry.CodeOf(other) != registry.CodeInvalid || strings.ReplaceAll(other.Error(), "sensor-2", "ghost") != ghost.Error() {
		t.Errorf("another device's answer %q differs from an unknown one's %q", other, ghost)
	}
}

func TestDirectory(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	store := new(devices)
	r := newReceiver(t, q, store, clockAt(&now))
	send := func(step string, code registry.Code, calls int64, references ...string) {
		t.Helper()
		var readings []registry.Reading
		for _, reference := range references {
			readings = append(readings, registry.Reading{Device: reference, Values: map[string]any{"temperature": 1.0}})
		}
		_, err := r.Receive(t.Context(), who, "http", readings)
		if code == "" && err != nil || code != "" && registry.CodeOf(err) != code {
			t.Errorf("%s: got %v, want %q", step, err, code)
		}
		if n := store.calls.Swap(0); n != calls {
			t.Errorf("%s: the store was asked %d times, want %d", step, n, calls)
		}
	}
	send("first", "", 1, "sensor-1", "sensor-2", "sensor-1")
	send("known", "", 0, "sensor-2", "sensor-1")
	send("unknown ones", registry.CodeInvalid, 1, "sensor-1", "ghost", "ghoul")
	send("unknown ones again", registry.CodeInvalid, 1, "sensor-1", "ghost", "ghoul")
	now = now.Add(11 * time.Second)
	send("after a while", "", 1, "sensor-1", "sensor-2")
	store.fail(registry.Unavailable("graph database", nil))
	send("store down, fresh", "", 0, "sensor-1")
	now = now.Add(11 * time.Second)
	send("store down, stale", "", 1, "sensor-1")
	send("store down, unknown", registry.CodeUnavailable, 1, "sensor-1", "sensor-3")
	now = now.Add(2 * time.Hour)
	send("store down for hours", registry.CodeUnavailable, 1, "sensor-1")
	store.fail(nil)
	store.hidden = map[string]bool{"sensor-1": true}
	send("deleted", registry.CodeInvalid, 1, "sensor-1")
	store.fail(registry.Unavailable("graph database", nil))
	send("deleted, then the store is down", registry.CodeUnavailable, 1, "sensor-1")
}

// TestReceiverOfAssets hands in readings of assets: all or none.
func TestReceiverOfAssets(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	before := noon.Add(-time.Minute)
	right := []registry.Reading{
		{Asset: "Room-1", MeasuredAt: before, Values: map[string]any{"humidity": 40.0, "temperature": registry.Quantity{Value: 1.0, MeasuredAt: before.Add(-time.Second)}}},
		{Device: "sensor-1", MeasuredAt: noon, Values: map[string]any{"humidity": 41.0}},
		{Asset: "room-1", Values: map[string]any{"temperature": 2.0}},
	}
	wrong := []registry.Reading{
		{Asset: "cellar", Values: map[string]any{"humidity": 1.0}},
		{Asset: "room-1", Device: "sensor-1", Values: map[string]any{"humidity": 1.0}},
		{Asset: "room-1", Values: map[string]any{"humidity": 1.0, "pressure": 1.0, "open": "yes"}},
		{Asset: "room-1", MeasuredAt: before, Values: map[string]any{"humidity": registry.Quantity{Value: 1.0, MeasuredAt: noon}}},
		{Values: map[string]any{"humidity": 1.0}},
	}
	_, err := r.Receive(t.Context(), who, "http", append(wrong, right...))
	var e *registry.Error
	if !errors.As(err, &e) || e.Code != registry.CodeInvalid {
		t.Fatalf("got %v", err)
	}
	var paths []string
	for _, v := range e.Violations {
		paths = append(paths, v.Path+" "+v.Rule)
	}
	want := []string{"[0].asset unknown", "[1].asset exclusive", "[2].values.humidity fed", "[2].values.open type", "[2].values.pressure undeclared", "[3].values.humidity fed", "[4].device required"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	bound := *who
	bound.Key.DeviceIDs = []registry.ID{idOf(who.Account, "sensor-1")}
	if _, err := r.Receive(t.Context(), &bound, "http", right); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("a key that is bound to a device: %v", err)
	}
	for p := range q.Partitions() {
		if left := drain(t, q, p); len(left) > 0 {
			t.Errorf("a refused request left %+v", left)
		}
	}
	receipt, err := r.Receive(t.Context(), who, "http", right)
	if err != nil || receipt.Accepted != 4 {
		t.Fatalf("got %+v, %v", receipt, err)
	}
	assets := 0
	for p := range q.Partitions() {
		for _, e := range drain(t, q, p) {
			for _, one := range e.Readings {
				if one.Asset {
					assets++
				}
				if one.Asset != (one.Reference == "room-1") || one.DeviceID != idOf(who.Account, one.Reference) {
					t.Errorf("got %+v", one)
				}
			}
		}
	}
	if assets != 3 {
		t.Errorf("%d readings of assets, want 3", assets)
	}
	// What an export tells of was taken once, whatever feeds the measure now.
	fed := []registry.Reading{{Asset: "room-1", MeasuredAt: noon, Values: map[string]any{"humidity": 1.0}}}
	if receipt, err := r.Receive(t.Context(), who, registry.SourceRestored, fed); err != nil || receipt.Accepted != 1 {
		t.Errorf("restored: %+v, %v", receipt, err)
	}
}
