package ingest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// letterBox keeps dead letters in order, and can be made to fail to remove.
type letterBox struct {
	letters []*registry.DeadLetter
	err     error
}

func (b *letterBox) OldestDeadLetters(_ context.Context, _ registry.Scope, f registry.DeadLetterFilter, after string, limit int) ([]*registry.DeadLetter, error) {
	var found []*registry.DeadLetter
	for _, l := range b.letters {
		if string(l.ID) > after && (f.To == nil || l.ReceivedAt.Before(*f.To)) && len(found) < limit {
			found = append(found, l)
		}
	}
	return found, nil
}

func (b *letterBox) RemoveDeadLetters(_ context.Context, _ registry.Scope, ids []registry.ID) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	before := len(b.letters)
	b.letters = slices.DeleteFunc(b.letters, func(l *registry.DeadLetter) bool { return slices.Contains(ids, l.ID) })
	return before - len(b.letters), nil
}

func (b *letterBox) RejudgeDeadLetters(_ context.Context, _ registry.Scope, letters []*registry.DeadLetter) error {
	for _, l := range letters {
		i := slices.IndexFunc(b.letters, func(one *registry.DeadLetter) bool { return one.ID == l.ID })
		b.letters[i] = l
	}
	return nil
}

func (b *letterBox) put(device, raw string, at time.Time) {
	id := registry.ID(uuid.Must(uuid.NewV7()).String())
	b.letters = append(b.letters, &registry.DeadLetter{ID: id, DeviceReference: device, Raw: raw, Source: "mqtt", ReceivedAt: at, Reason: registry.ReasonUnknownDevice})
}

func TestReplay(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	box := new(letterBox)
	hour := noon.Add(-time.Hour)
	box.put("sensor-1", `{"values":{"temperature":1}}`, hour)
	box.put("sensor-1", `{"device":"sensor-1","measuredAt":"2026-06-01T10:00:00Z","messageId":"","values":{"temperature":2}}`, hour)
	box.put("sensor-1", `{"values":{"pressure":1}}`, hour)
	box.put("sensor-2", `[{"values":{"temperature":3}},{"values":{"temperature":4}}]`, hour)
	box.put("sensor-2", `{"device":"sensor-1","values":{"temperature":3}}`, hour)
	box.put("ghost", `{"values":{"temperature":1}}`, hour)
	box.put("sensor-2", `{`, hour)
	box.put("sensor-2", `{"values":{"temperature":1}}`, hour)
	box.letters[7].Truncated = true
	all := registry.ReplayRequest{First: 100}

	rehearsal := all
	rehearsal.Rehearse = true
	rehearsed, err := r.Replay(t.Context(), who, box, rehearsal)
	if err != nil || rehearsed.Accepted != 3 || rehearsed.Refused != 5 || rehearsed.Readings != 4 || len(box.letters) != 8 {
		t.Fatalf("rehearsed: %+v, %v", rehearsed, err)
	}
	checkBooks(t, q, 0, 0)

	// It dies between the queue and the removal: the letters stay, and the next
	// time gives the same readings.
	box.err = errors.New("gone")
	if _, err := r.Replay(t.Context(), who, box, all); !errors.Is(err, box.err) {
		t.Fatalf("got %v", err)
	}
	first := queued(t, q)
	if len(first) != 4 || len(box.letters) != 8 {
		t.Fatalf("%d queued, %d letters", len(first), len(box.letters))
	}
	box.err = nil
	replayed, err := r.Replay(t.Context(), who, box, all)
	if err != nil || replayed.Accepted != 3 || replayed.Refused != 5 || replayed.Readings != 4 || replayed.After != "" {
		t.Fatalf("replayed: %+v, %v", replayed, err)
	}
	second := queued(t, q)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the second time: %s", diff)
	}
	want := []string{"mqtt sensor-1 2026-06-01T10:00:00Z", "mqtt sensor-1 2026-06-01T11:00:00Z", "mqtt sensor-2 2026-06-01T11:00:00.001Z", "mqtt sensor-2 2026-06-01T11:00:00Z"}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("queued: %s", diff)
	}
	var reasons []string
	for _, l := range box.letters {
		reasons = append(reasons, l.DeviceReference+" "+string(l.Reason))
	}
	if diff := cmp.Diff([]string{"sensor-1 UNDECLARED_MEASURE", "sensor-2 MALFORMED", "ghost UNKNOWN_DEVICE", "sensor-2 MALFORMED", "sensor-2 MALFORMED"}, reasons); diff != "" {
		t.Errorf("what stays: %s", diff)
	}
	if len(replayed.StillRefused) != 5 || !strings.Contains(replayed.StillRefused[0].Message, "pressure") {
		t.Errorf("still refused: %+v", replayed.StillRefused)
	}
}

func TestReplayGoesOn(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	box := new(letterBox)
	for range 120 {
		box.put("sensor-1", `{"values":{"pressure":1}}`, noon.Add(-time.Hour))
	}
	total, request := 0, registry.ReplayRequest{First: 70}
	for {
		done, err := r.Replay(t.Context(), who, box, request)
		if err != nil {
			t.Fatal(err)
		}
		total += done.Refused
		if done.After == "" {
			break
		}
		now = now.Add(time.Minute)
		box.put("sensor-1", `{"values":{"pressure":1}}`, now) // came meanwhile
		request.After = done.After
	}
	if total != 120 {
		t.Errorf("%d were tried, want 120", total)
	}
	request.After = registry.Cursor("x")
	if _, err := r.Replay(t.Context(), who, box, request); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("another list's cursor: %v", err)
	}
}

// queued empties the queue and tells what was in it, in order.
func queued(t *testing.T, q *Queue) []string {
	t.Helper()
	var out []string
	for p := range q.Partitions() {
		entries := drain(t, q, p)
		if err := q.Done(t.Context(), p, entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			for _, one := range e.Readings {
				out = append(out, one.Source+" "+one.Reference+" "+one.MeasuredAt.Format(time.RFC3339Nano))
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestReplayOfAssets tries letters of readings that name what they are of.
func TestReplayOfAssets(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	box := new(letterBox)
	hour := noon.Add(-time.Hour)
	// As a worker wrote it, and as a message came that names nothing itself.
	box.put("", `{"asset":"room-1","measuredAt":"2026-06-01T10:00:00Z","messageId":"","values":{"humidity":2}}`, hour)
	box.letters[0].AssetReference = "room-1"
	box.put("", `[{"asset":"room-1","values":{"temperature":1}},{"device":"sensor-1","values":{"temperature":2}}]`, hour)
	// A message of a device speaks for nothing else, one of an asset neither.
	box.put("sensor-1", `{"asset":"room-1","values":{"temperature":1}}`, hour)
	box.put("", `{"device":"sensor-1","values":{"temperature":1}}`, hour)
	box.letters[3].AssetReference = "room-1"
	box.put("", `{"asset":"room-fed","values":{"humidity":1}}`, hour)
	box.letters[4].AssetReference = "room-fed"
	replayed, err := r.Replay(t.Context(), who, box, registry.ReplayRequest{First: 100})
	if err != nil || replayed.Accepted != 2 || replayed.Refused != 3 || replayed.Readings != 3 {
		t.Fatalf("replayed: %+v, %v", replayed, err)
	}
	want := []string{"mqtt room-1 2026-06-01T10:00:00Z", "mqtt room-1 2026-06-01T11:00:00Z", "mqtt sensor-1 2026-06-01T11:00:00.001Z"}
	if diff := cmp.Diff(want, queued(t, q)); diff != "" {
		t.Errorf("queued: %s", diff)
	}
	var reasons []string
	for _, l := range box.letters {
		reasons = append(reasons, string(l.Reason))
	}
	if diff := cmp.Diff([]string{"MALFORMED", "MALFORMED", "FED_BY_DEVICE"}, reasons); diff != "" {
		t.Errorf("what stays: %s", diff)
	}
}
