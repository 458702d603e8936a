package transfer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

// files opens the files of a directory of examples.
func (w world) files(dir string) []transfer.NamedReader {
	w.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", dir, "*.json"))
	if err != nil || len(names) == 0 {
		w.Fatalf("no examples in %s: %v", dir, err)
	}
	slices.Sort(names)
	var out []transfer.NamedReader
	for _, name := range names {
		f, err := os.Open(name)
		w.ok(err)
		w.Cleanup(func() { f.Close() })
		out = append(out, transfer.NamedReader{Name: filepath.Base(name), Reader: f})
	}
	return out
}

// convert imports files of another system and returns what was said.
func (w world) convert(feed transfer.Feed, err error) (said []string, sum transfer.Sum) {
	w.Helper()
	w.ok(err)
	m := &transfer.Importer{Target: w.NewRestorer(w.scope, graph.RestoreOptions{}), Report: func(o transfer.Outcome) {
		for _, note := range o.Notes {
			said = append(said, fmt.Sprintf("%s: %s", o.Origin, note))
		}
		if o.Result == registry.RestoreRefused {
			said = append(said, fmt.Sprintf("%s: refused: %s", o.Origin, o.Message))
		}
	}}
	sum, err = m.Import(w.Context(), feed, transfer.Sum{})
	w.ok(err)
	return said, sum
}

// golden compares lines with those of a file in testdata.
func golden(t *testing.T, name string, got []string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	text := strings.Join(got, "\n") + "\n"
	if os.Getenv("HOLON_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, name, text, string(want))
}

func TestFromCDF(t *testing.T) {
	w := newWorld(t)
	said, _ := w.convert(transfer.CDF(w.files("cdf")))
	golden(t, "cdf/said.txt", said)
	golden(t, "cdf/imported.ndjson", strings.Split(strings.TrimSpace(w.export(true)), "\n"))
	// Once more: what was imported is there.
	if _, again := w.convert(transfer.CDF(w.files("cdf"))); again.Made+again.Changed > 0 {
		t.Errorf("again: %+v", again)
	}
}

func TestFromDTDL(t *testing.T) {
	w := newWorld(t)
	said, _ := w.convert(transfer.DTDL(w.files("dtdl"), true))
	golden(t, "dtdl/said.txt", said)
	golden(t, "dtdl/imported.ndjson", strings.Split(strings.TrimSpace(w.export(true)), "\n"))
	if _, again := w.convert(transfer.DTDL(w.files("dtdl"), true)); again.Made+again.Changed > 0 {
		t.Errorf("again: %+v", again)
	}
}

func TestFilesOfOthersThatAreBroken(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "{", "a number": "7", "cut off": `{"results": [{"deviceId": "x"}`, "text": `"x"`} {
		if _, err := transfer.CDF([]transfer.NamedReader{{Name: "x.json", Reader: strings.NewReader(text)}}); err == nil || !strings.Contains(err.Error(), "x.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newWorld(t)
	said, sum := w.convert(transfer.DTDL([]transfer.NamedReader{{Name: "x.json", Reader: strings.NewReader(
		`[{"@type":"Interface","@id":"dtmi:a:b;1"},{"@type":"Telemetry"},{"@context":"dtmi:dtdl:context;3","@type":"Interface","@id":"a:b"},{"@context":"dtmi:dtdl:context;3","@type":"Interface","@id":"dtmi:a:c","contents":[]}]`)}}, true))
	if sum.Made != 1 || sum.Refused != 3 {
		t.Errorf("%+v %q", sum, said)
	}
}
