package transfer_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

func TestRoundTripIntoANewAccount(t *testing.T) {
	w := newWorld(t)
	w.fill()
	first := w.export(true)
	other := w.another()
	outcomes, sum := other.importing(first, graph.RestoreOptions{})
	if bad := refusals(outcomes); len(bad) > 0 || sum.Made == 0 {
		t.Fatalf("refused: %q of %+v", bad, sum)
	}
	same(t, "round trip", other.export(true), first)

	// Once more: nothing is to be done, and nothing is.
	position := other.position()
	outcomes, again := other.importing(first, graph.RestoreOptions{})
	if again.Unchanged != len(outcomes) || again.Made+again.Changed+again.Refused > 0 {
		for _, o := range outcomes {
			if o.Result != registry.RestoreUnchanged {
				t.Errorf("again: %+v", o)
			}
		}
	}
	if now := other.position(); now != position {
		t.Errorf("an import of what is there made %d changes", now-position)
	}

	// Policies reach what they did before.
	for _, in := range []world{w, other} {
		device, err := in.DeviceByReference(t.Context(), in.scope, "probe-Ä", graph.Include{})
		in.ok(err)
		got, err := in.InheritedPolicyReferences(t.Context(), in.scope, []registry.ID{device.Twin.NodeID()}, nil)
		if err != nil || fmt.Sprint(got[0]) != "[P 1]" {
			t.Errorf("policies: %v, %v", got, err)
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.fill()
	first := w.export(false)
	other := w.another()
	before := other.export(false)
	position := other.position()
	outcomes, sum := other.importing(first, graph.RestoreOptions{Rehearse: true})
	if bad := refusals(outcomes); len(bad) > 0 {
		t.Errorf("refused: %q", bad)
	}
	if after := other.export(false); after != before || other.position() != position {
		same(t, "after a dry run", after, before)
	}
	_, real := other.importing(first, graph.RestoreOptions{})
	if sum != real {
		t.Errorf("a dry run says %+v, and %+v is done", sum, real)
	}
	// The same for an account that does not exist, in which the root group and the
	// open templates are there all the same.
	const name = "none-of-this-name"
	m := &transfer.Importer{Rehearse: true, Report: func(o transfer.Outcome) {
		if o.Result == registry.RestoreRefused {
			t.Errorf("refused: %s", o.Message)
		}
	}}
	var err error
	m.Target, err = w.NewAccountRehearsal(name, graph.RestoreOptions{})
	w.ok(err)
	sum, err = m.Import(t.Context(), transfer.Lines(strings.NewReader(first), 0, 0), transfer.Sum{})
	w.ok(err)
	if sum != real {
		t.Errorf("a dry run without an account says %+v, and %+v is done", sum, real)
	}
	if _, err := w.AccountByName(t.Context(), name); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("a dry run makes the account: %v", err)
	}
}

func TestInterruptedImportGoesOn(t *testing.T) {
	w := newWorld(t)
	w.fill()
	first := w.export(true)
	all := strings.Count(first, "\n")
	for _, lines := range []int{9, 20, all - 9, all - 4} {
		other := w.another()
		ctx, cancel := context.WithCancel(t.Context())
		m := &transfer.Importer{Target: &stopping{other.NewRestorer(other.scope, graph.RestoreOptions{}), lines, cancel}}
		var state transfer.State
		m.Done = func(last transfer.Item, sum transfer.Sum) error {
			state.Line, state.Offset, state.Sum = last.Line, last.Offset, sum
			return nil
		}
		if _, err := m.Import(ctx, transfer.Lines(strings.NewReader(first), 0, 0), transfer.Sum{}); err == nil {
			t.Fatal("the import was not interrupted")
		}
		cancel()
		// From where it was, and from the beginning: both complete it.
		m = &transfer.Importer{Target: other.NewRestorer(other.scope, graph.RestoreOptions{})}
		sum, err := m.Import(t.Context(), transfer.Lines(strings.NewReader(first[state.Offset:]), state.Line, state.Offset), state.Sum)
		if err != nil || sum.Refused > 0 {
			t.Errorf("after %d lines: %+v, %v", lines, sum, err)
		}
		same(t, fmt.Sprintf("interrupted after %d lines", lines), other.export(true), first)
		if _, sum = other.importing(first, graph.RestoreOptions{}); sum.Made+sum.Changed+sum.Refused > 0 {
			t.Errorf("once more: %+v", sum)
		}
	}
}

// stopping ends the import in the middle of a batch.
type stopping struct {
	*graph.Restorer
	left   int
	cancel func()
}

func (s *stopping) Restore(ctx context.Context, records []registry.Record) ([]registry.Restored, error) {
	if s.left -= len(records); s.left < 0 {
		s.cancel()
	}
	return s.Restorer.Restore(ctx, records)
}

func TestRefusedLines(t *testing.T) {
	w := newWorld(t)
	text := file(
		`{"record":"template","kind":"DEVICE","name":"strict","version":1,"status":"PUBLISHED","properties":{"n":{"type":"integer"}},"required":["n"],"relations":[{"name":"in","direction":"OUT","kind":"GROUP","inherits":true}]}`,
		`{"record":"group","path":"/a"}`,
		`{"record":"group","path":"/x/y"}`,
		`{"record":"group","path":"/a/b","attributes":{"bad name":1}}`,
		`this is no JSON`,
		`{"record":"device","reference":"ok","template":"strict","attributes":{"n":1},"relations":[{"name":"in","groups":["/a"]}]}`,
		`{"record":"device","reference":"no n","template":"strict","relations":[{"name":"in","groups":["/a"]}]}`,
		`{"record":"device","reference":"no group","template":"strict","attributes":{"n":1},"relations":[{"name":"in","groups":["/a","/nowhere"]}]}`,
		`{"record":"device","reference":"wrong relation","template":"strict","attributes":{"n":1},"relations":[{"name":"at","groups":["/a"]}]}`,
		`{"record":"device","reference":"no template","template":"missing"}`,
		`{"record":"device","reference":"typo","attribs":{"n":1}}`,
		`{"record":"device","reference":7}`,
		`{"record":"relation","from":{"device":"gone"},"name":"in","groups":["/a"]}`,
		`{"record":"link","device":"ok","asset":"none","since":"2026-01-01T00:00:00Z","measures":[{"device":"t","asset":"t"}]}`,
		`{"record":"policy","reference":"p","type":"t","document":{},"appliesTo":["/nowhere"]}`,
		`{"record":"nonsense"}`,
		`{"record":"desired","device":"none","values":{"t":1}}`,
		`{"record":"desired","device":"ok","asset":"ok","values":{"t":1}}`,
		`{"record":"desired","device":"ok","values":{"undeclared":1}}`,
		`{"record":"alarm","device":"none","rule":"hot","severity":"MINOR","since":"2026-01-01T00:00:00Z"}`,
		`{"record":"alarm","device":"ok","rule":"hot","severity":"BAD","since":"2026-01-01T00:00:00Z"}`,
		`{"record":"alarm","device":"ok","asset":"ok","rule":"hot","severity":"MINOR","since":"2026-01-01T00:00:00Z"}`,
		`{"record":"alarm","device":"ok","rule":"hot","severity":"MINOR"}`,
		`{"record":"command","device":"none","name":"beep","state":"SENT","createdAt":"2026-01-01T00:00:00Z","expiresAt":"2026-01-01T01:00:00Z"}`,
		`{"record":"command","device":"ok","name":"beep","state":"LOST","createdAt":"2026-01-01T00:00:00Z","expiresAt":"2026-01-01T01:00:00Z"}`,
		`{"record":"command","device":"ok","name":"beep","state":"SENT","createdAt":"2026-01-01T00:00:00Z"}`,
		`{"record":"command","device":"ok","name":"beep","state":"ACKNOWLEDGED","createdAt":"2026-01-01T00:00:00Z","expiresAt":"2026-01-01T01:00:00Z"}`,
	)
	outcomes, sum := w.importing(text, graph.RestoreOptions{})
	if sum.Made != 3 || sum.Refused != 24 {
		t.Errorf("sum = %+v", sum)
	}
	want := map[int]string{
		4: `there is no group "/x"`, 5: "attributes.bad name", 6: "line:", 8: "n", 9: `"/nowhere" does not exist`, 10: "neither template", 11: `"missing"`,
		12: "attribs", 13: "reference", 14: `"gone" does not exist`, 15: `"none" does not exist`, 16: "appliesTo[0]", 17: `"nonsense"`,
		18: `"none" does not exist`, 19: "device or an asset", 20: "undeclared",
		21: `"none" does not exist`, 22: "severity", 23: "device or an asset", 24: "since", 25: `"none" does not exist`, 26: `"LOST"`, 27: "expiresAt", 28: "endedAt",
	}
	for _, o := range outcomes {
		part, bad := want[o.Line]
		if bad != (o.Result == registry.RestoreRefused) || !strings.Contains(o.Message, part) {
			t.Errorf("line %d: %s %s, want %q", o.Line, o.Result, o.Message, part)
		}
	}
	// Of a refused line nothing is left.
	for _, key := range []string{"no n", "no group", "wrong relation", "typo"} {
		if _, err := w.DeviceByReference(t.Context(), w.scope, key, graph.Include{}); registry.CodeOf(err) != registry.CodeNotFound {
			t.Errorf("device %q: %v", key, err)
		}
	}
}

func TestFilesThatAreNotWhole(t *testing.T) {
	w := newWorld(t)
	whole := file(`{"record":"group","path":"/a"}`, `{"record":"group","path":"/b"}`)
	for name, text := range map[string]string{
		"no header":          `{"record":"group","path":"/a"}` + "\n",
		"another version":    strings.Replace(whole, `"version":1`, `"version":2`, 1),
		"cut off":            whole[:strings.LastIndex(whole, `{"record":"end"`)],
		"a line is missing":  strings.Replace(whole, `{"record":"group","path":"/b"}`+"\n", "", 1),
		"nothing at all":     "",
		"cut off in a line":  whole[:len(whole)-3],
		"a line is too much": strings.Replace(whole, `{"record":"group","path":"/b"}`, `{"record":"group","path":"/b"}`+"\n"+`{"record":"group","path":"/c"}`, 1),
	} {
		if _, _, err := w.tryImport(t.Context(), text, graph.RestoreOptions{}); registry.CodeOf(err) != registry.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImportChangesWhatDiffers(t *testing.T) {
	w := newWorld(t)
	w.importing(file(
		`{"record":"template","kind":"DEVICE","name":"d","version":1,"status":"DRAFT","properties":{"n":{}}}`,
		`{"record":"group","path":"/A","attributes":{"x":1,"y":{"z":2}}}`,
		`{"record":"device","reference":"Dev","state":"ACTIVE","attributes":{"k":"v"}}`,
		`{"record":"policy","reference":"p","type":"t","document":{"a":1},"appliesTo":["/A"]}`,
	), graph.RestoreOptions{})
	outcomes, sum := w.importing(file(
		`{"record":"template","kind":"DEVICE","name":"d","version":1,"status":"PUBLISHED","properties":{"n":{},"k":{}}}`,
		`{"record":"group","path":"/a","attributes":{"y":{"z":3}},"description":"new"}`,
		`{"record":"group","path":"/b"}`,
		`{"record":"device","reference":"dev","state":"RETIRED","template":"d","attributes":{"k":"w"},"relations":[]}`,
		`{"record":"policy","reference":"P","type":"t","document":{"a":2},"appliesTo":["/b"]}`,
	), graph.RestoreOptions{})
	if bad := refusals(outcomes); len(bad) > 0 || sum.Changed != 4 || sum.Made != 1 {
		t.Fatalf("%+v, refused %q", sum, bad)
	}
	same(t, "afterwards", withoutHeader(w.export(true)), withoutHeader(file(
		`{"record":"template","kind":"DEVICE","name":"d","version":1,"status":"PUBLISHED","properties":{"k":{},"n":{}}}`,
		`{"record":"group","path":"/"}`,
		`{"record":"group","path":"/A","description":"new","attributes":{"y":{"z":3}}}`,
		`{"record":"group","path":"/b"}`,
		`{"record":"device","reference":"Dev","state":"RETIRED","template":"d","templateVersion":1,"attributes":{"k":"w"}}`,
		`{"record":"policy","reference":"p","type":"t","document":{"a":2},"appliesTo":["/b"]}`,
	)))
	// A published version never changes.
	outcomes, _ = w.importing(file(`{"record":"template","kind":"DEVICE","name":"d","version":1,"status":"PUBLISHED","properties":{}}`), graph.RestoreOptions{})
	if bad := refusals(outcomes); len(bad) != 1 || !strings.Contains(bad[0], "published already") {
		t.Errorf("refused: %q", bad)
	}
}

func TestIDsThatAreTaken(t *testing.T) {
	w := newWorld(t)
	w.fill()
	kept := w.export(false)
	// Into the same account: everything is there already, under its own id.
	if _, sum := w.importing(kept, graph.RestoreOptions{KeepIDs: true}); sum.Made+sum.Changed+sum.Refused > 0 {
		t.Errorf("into itself: %+v", sum)
	}
	// Into another account of the same database every id is taken.
	other := w.another()
	outcomes, sum := other.importing(kept, graph.RestoreOptions{KeepIDs: true})
	if sum.Made > 0 {
		t.Errorf("with the ids of others: %+v %q", sum, refusals(outcomes))
	}
}

func TestKeptIDsVersionsAndTimes(t *testing.T) {
	w := newWorld(t)
	w.fill()
	// In this database the ids are taken, so others stand for them, the same ones
	// everywhere.
	fresh := map[string]string{}
	first := uuids.ReplaceAllStringFunc(w.export(false), func(id string) string {
		if fresh[id] == "" {
			fresh[id] = id[:18] + uuid.NewString()[18:] // at the same place in time
		}
		return fresh[id]
	})
	other := w.another()
	outcomes, sum := other.importing(first, graph.RestoreOptions{KeepIDs: true})
	if bad := refusals(outcomes); len(bad) > 0 || sum.Made < 20 {
		t.Fatalf("%+v, refused %q", sum, bad)
	}
	lines := func(text string) string {
		var out []string
		for _, line := range strings.Split(withoutHeader(text), "\n") {
			// The root group keeps what its account gave it.
			if !strings.HasPrefix(line, `{"record":"group","path":"/",`) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "\n")
	}
	same(t, "with kept ids", lines(other.export(false)), lines(first))
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// TestImportWidensMeasureTypes imports a measure type that has more than the one
// that is there, and one that has less.
func TestImportWidensMeasureTypes(t *testing.T) {
	w := newWorld(t)
	w.importing(file(`{"record":"measureType","name":"mode","valueType":"ENUM","values":["on","off"]}`), graph.RestoreOptions{})
	wider := file(`{"record":"measureType","name":"mode","valueType":"ENUM","values":["off","on","eco"],"annotations":{"title":"Mode"}}`)
	for _, dry := range []bool{true, false} {
		if _, sum := w.importing(wider, graph.RestoreOptions{Rehearse: dry}); sum.Changed != 1 {
			t.Errorf("dry run %t: wider: %+v", dry, sum)
		}
	}
	if _, sum := w.importing(wider, graph.RestoreOptions{}); sum.Unchanged != 1 {
		t.Errorf("again: %+v", sum)
	}
	for _, other := range []string{`"valueType":"ENUM","values":["on"]`, `"valueType":"STRING"`} {
		if _, sum := w.importing(file(`{"record":"measureType","name":"mode",`+other+`}`), graph.RestoreOptions{}); sum.Refused != 1 {
			t.Errorf("%s: %+v", other, sum)
		}
	}
	m, err := w.MeasureType(t.Context(), w.scope, "mode")
	w.ok(err)
	if len(m.Values) != 3 || m.Version != 2 || m.Annotations["title"] != "Mode" {
		t.Errorf("the measure type is %+v", m)
	}
}

// TestImportOfAnEndedLink imports a file that begins with a byte order mark and
// has a link that has ended: the state history tells of its beginning and its end.
func TestImportOfAnEndedLink(t *testing.T) {
	w := newWorld(t)
	w.importing("\xef\xbb\xbf"+file(
		`{"record":"asset","reference":"a"}`, `{"record":"device","reference":"d"}`,
		`{"record":"link","device":"d","asset":"a","since":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z","measures":[{"device":"t","asset":"inside"}]}`,
	), graph.RestoreOptions{})
	asked := registry.StateFilter{Causes: []registry.StateCause{registry.StateLinked, registry.StateUnlinked}}
	page, err := w.StateHistory(t.Context(), w.scope, w.idOf(ref(registry.KindAsset, "a")), asked, registry.PageRequest{Size: 10})
	w.ok(err)
	var causes []registry.StateCause
	for _, e := range page.Items {
		causes = append(causes, e.Cause)
	}
	if !slices.Equal(causes, asked.Causes) {
		t.Errorf("the history tells of %v", causes)
	}
}
