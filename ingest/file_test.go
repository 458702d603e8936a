package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// taking collects what is told of a file.
type taking struct {
	refused []string
	taken   []FileProgress
}

func (k *taking) file(who *registry.Principal, f File) File {
	f.Principal, f.Source, f.ReceivedAt = who, "ftp", noon
	f.Refused = func(fault LineFault) error {
		k.refused = append(k.refused, fmt.Sprintf("%d %s %s", fault.Line, fault.Reason, fault.Message))
		return nil
	}
	f.Taken = func(p FileProgress) error {
		k.taken = append(k.taken, p)
		return nil
	}
	return f
}

const readingLines = `{"device": "sensor-1", "measuredAt": "2026-05-01T00:00:00Z", "values": {"temperature": 1}}
{"device": "sensor-1", "measuredAt": "2026-05-01T00:00:01Z", "values": {"temperature":

[{"device": "sensor-1", "measuredAt": "2026-05-01T00:00:02Z", "values": {"temperature": 2}}, {"device": "ghost", "measuredAt": "2026-05-01T00:00:02Z", "values": {"temperature": 2}}]
{"device": "sensor-1", "values": {"temperature": 3}}
{"device": "sensor-1", "values": {"temperature": {"value": 4, "measuredAt": "2026-05-01T00:00:03Z"}}}
`

// TestTakeReadings takes lines of readings, keeps the others as dead letters, and
// goes on after a line.
func TestTakeReadings(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	var k taking
	if err := r.TakeFile(t.Context(), k.file(who, File{Letters: true}), strings.NewReader(readingLines)); err != nil {
		t.Fatal(err)
	}
	if len(k.refused) != 3 || !strings.HasPrefix(k.refused[0], "2 MALFORMED ") || k.refused[1] != "4 UNKNOWN_DEVICE device: there is no device \"ghost\" that this key may send for" ||
		k.refused[2] != "5 MALFORMED measuredAt: a file's readings say when they were measured" {
		t.Errorf("refused: %q", k.refused)
	}
	if diff := cmp.Diff([]FileProgress{{Line: 6, Offset: int64(len(readingLines)), Readings: 3, Refused: 3}}, k.taken); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	lines := strings.Split(readingLines, "\n")
	kept := map[string]registry.DeadLetterReason{}
	for _, letter := range letters(t, q) {
		kept[string(letter.Raw)] = letter.Refused.Reason
	}
	if diff := cmp.Diff(map[string]registry.DeadLetterReason{strings.TrimSpace(lines[1]): "MALFORMED", lines[3]: "UNKNOWN_DEVICE", lines[4]: "MALFORMED"}, kept); diff != "" {
		t.Errorf("dead letters: -want +got\n%s", diff)
	}

	k = taking{}
	if err := r.TakeFile(t.Context(), k.file(who, File{Letters: true, After: 5}), strings.NewReader(readingLines)); err != nil {
		t.Fatal(err)
	}
	if len(k.refused) != 0 || len(k.taken) != 1 || k.taken[0].Readings != 1 || k.taken[0].Line != 6 {
		t.Errorf("after line 5: %+v", k)
	}
	k = taking{}
	if err := r.TakeFile(t.Context(), k.file(who, File{Rehearse: true}), strings.NewReader(readingLines)); err != nil {
		t.Fatal(err)
	}
	if len(k.refused) != 3 || k.taken[0].Readings != 3 {
		t.Errorf("a rehearsal: %+v", k)
	}
	checkBooks(t, q, 1, 7)
}

// TestTakePayloads keeps what a template cannot decode, so that it can be tried
// again; but not what a key that is bound to devices sends of others.
func TestTakePayloads(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	decoder, err := r.FileDecoder(t.Context(), who, "sensor", "")
	if err != nil {
		t.Fatal(err)
	}
	file := `{"id": "sensor-1", "at": 1777600000, "t": 215}` + "\n" + `{"id": "sensor-1", "at": "never"}` + "\n" + `{"id": "ghost", "at": 1777600000, "t": 1}` + "\n"
	var k taking
	if err := r.TakeFile(t.Context(), k.file(who, File{Letters: true, Decoder: decoder, Template: "sensor"}), strings.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if len(k.refused) != 2 || !strings.HasPrefix(k.refused[0], "2 UNDECODABLE ") || !strings.HasPrefix(k.refused[1], "3 UNKNOWN_DEVICE ") {
		t.Errorf("refused: %q", k.refused)
	}
	found := letters(t, q)
	if len(found) != 2 {
		t.Fatalf("dead letters: %+v", found)
	}
	for _, letter := range found {
		p := letter.Payload
		if p == nil || p.Template != "sensor" || p.Source != "ftp" || !p.ReceivedAt.Equal(noon) || !strings.Contains(file, string(p.Content)+"\n") {
			t.Errorf("a dead letter: %+v, %+v", letter, p)
		}
	}
	if err := r.RefuseFile(t.Context(), k.file(who, File{Template: "sensor"}), []byte("all of it"), "is broken"); err != nil {
		t.Fatal(err)
	}
	if found = letters(t, q); len(found) != 1 {
		t.Errorf("dead letters: %+v", found)
	}

	bound := *who
	bound.Key.DeviceIDs = []registry.ID{idOf(who.Account, "sensor-1")}
	k = taking{}
	own := readingLines + `{"device": "sensor-2", "measuredAt": "2026-05-01T00:00:00Z", "values": {"temperature": 1}}` + "\n"
	if err := r.TakeFile(t.Context(), k.file(&bound, File{Letters: true}), strings.NewReader(own)); err != nil {
		t.Fatal(err)
	}
	if len(k.refused) != 4 || k.taken[0].Readings != 3 || len(letters(t, q)) != 0 {
		t.Errorf("a bound key: %+v", k)
	}
	if err := r.RefuseFile(t.Context(), k.file(&bound, File{Template: "sensor"}), []byte("all of it"), "is broken"); err != nil || len(letters(t, q)) != 0 {
		t.Errorf("a bound key's file: %v", err)
	}
	// The device that a file was sent for may be gone, and another have its reference.
	for device, want := range map[string]int{"sensor-1": 1, "sensor-2": 0, "ghost": 0} {
		if err := r.RefuseFile(t.Context(), k.file(&bound, File{Device: device}), []byte("all of it"), "is broken"); err != nil {
			t.Fatal(err)
		}
		if found := letters(t, q); len(found) != want {
			t.Errorf("a bound key's file for %s: %+v", device, found)
		}
	}
	for _, c := range []struct {
		template, device string
		want             registry.Code
	}{{"ghost", "", registry.CodeNotFound}, {"", "ghost", registry.CodeNotFound}, {"", "sensor-2", registry.CodeNotFound}, {"", "sensor-1", ""}} {
		if _, err := r.FileDecoder(t.Context(), &bound, c.template, c.device); (err == nil) != (c.want == "") || err != nil && registry.CodeOf(err) != c.want {
			t.Errorf("the decoder of %q%q: %v", c.template, c.device, err)
		}
	}
	if _, err := r.FileDecoder(t.Context(), who, "", "open-1"); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("a template without a decoder: %v", err)
	}
}

// TestFileNotReady queues nothing of a file where it cannot be noted how far that
// has come.
func TestFileNotReady(t *testing.T) {
	t.Parallel()
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	var k taking
	full := errors.New("the disk is full")
	f := k.file(who, File{Letters: true})
	f.Ready = func(p FileProgress) error {
		if p.Line != 6 || p.Readings != 3 || p.Refused != 3 || len(k.refused) != 3 {
			t.Errorf("ready: %+v, refused: %q", p, k.refused)
		}
		return full
	}
	if err := r.TakeFile(t.Context(), f, strings.NewReader(readingLines)); !errors.Is(err, full) {
		t.Errorf("it is taken: %v", err)
	}
	if len(k.taken) != 0 {
		t.Errorf("taken: %+v", k.taken)
	}
	checkBooks(t, q, 0, 0)
}

// TestFilesWaitForTheQueue fills the queue in the middle of a file, and lets it
// go on; then stops in the middle.
func TestFilesWaitForTheQueue(t *testing.T) {
	t.Parallel()
	q, now, who := openQueue(t, func(c *QueueConfig) { c.Partitions, c.MaxReadings = 1, fileBatch+500 }), noon, newPrincipal()
	r := newReceiver(t, q, new(devices), clockAt(&now))
	var file strings.Builder
	for i := range fileBatch + 1000 {
		fmt.Fprintf(&file, "{\"device\": \"sensor-1\", \"measuredAt\": %d, \"values\": {\"temperature\": %d}}\n", noon.UnixMilli()-int64(i), i)
	}
	var k taking
	told := make(chan FileProgress, 4)
	f := k.file(who, File{Letters: true})
	f.Taken = func(p FileProgress) error { told <- p; return nil }
	ended := make(chan error, 1)
	go func() { ended <- r.TakeFile(t.Context(), f, strings.NewReader(file.String())) }()
	if p := <-told; p.Line != fileBatch || p.Readings != fileBatch {
		t.Fatalf("the first part: %+v", p)
	}
	checkBooks(t, q, fileBatch, fileBatch)
	select {
	case err := <-ended:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	if err := q.Done(t.Context(), 0, drain(t, q, 0)); err != nil {
		t.Fatal(err)
	}
	if p := <-told; p.Line != fileBatch+1000 || p.Readings != 1000 {
		t.Errorf("the rest: %+v", p)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	checkBooks(t, q, 1000, fileBatch+1000)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- r.TakeFile(ctx, f, strings.NewReader(file.String())) }()
	eventually(t, "it waits", 30*time.Second, func() bool { return backlog(t, q) == 1000 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) && registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("stopped: %v", err)
	}
	checkBooks(t, q, 1000, fileBatch+1000)
}
