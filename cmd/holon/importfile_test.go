package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/transfer"
)

// testStores are where the stores of the tests are.
func testStores(account string) (accountSettings, redisSettings) {
	g := graphSettings{URI: os.Getenv("NEO4J_URI"), Username: os.Getenv("NEO4J_USERNAME"), Password: os.Getenv("NEO4J_PASSWORD"), Timeout: time.Minute}
	return accountSettings{graphSettings: g, Account: account}, redisSettings{URL: os.Getenv("REDIS_URL"), MaxReadings: 1_000_000}
}

// TestImportReadings imports a CSV file by a template and by options, in a
// rehearsal, with bad lines, and from where it was interrupted.
func TestImportReadings(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	ask[any](t, client, `mutation { createTemplate(input: {kind: DEVICE, name: "logger", publish: true, measures: [{name: "temperature", type: "number", unit: "Cel"}],
		decoder: {name: "csv", options: {delimiter: ";", decimal: ",", device: "id", time: {column: "time", format: "%Y-%m-%d %H:%M"}, measures: {temperature: "temp"}}}}) { template { id } }
		createDevice(input: {reference: "l1", template: "logger"}) { device { id } } }`, nil)
	dir := t.TempDir()
	file, options := filepath.Join(dir, "log.csv"), filepath.Join(dir, "options.json")
	const rows = "id;time;temp\nl1;2026-01-01 00:00;20,5\nl1;2026-01-01 00:01;warm\nghost;2026-01-01 00:01;1\nl1;2026-01-01 00:02;21\n"
	for name, text := range map[string]string{file: rows, options: `{"delimiter": ";", "decimal": ",", "time": {"column": "time", "format": "2006-01-02 15:04"}, "measures": {"temperature": {"column": "temp", "offset": 1}}}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(c importReadingsCmd) error {
		c.accountSettings, c.redisSettings = testStores(account)
		c.File, c.Quiet = file, true
		return c.Run(t.Context(), zerolog.Nop())
	}
	if err := run(importReadingsCmd{}); err == nil {
		t.Error("nothing says how to decode")
	}
	report := filepath.Join(dir, "report.ndjson")
	for _, rehearse := range []bool{true, false} {
		err := run(importReadingsCmd{Template: "logger", DryRun: rehearse, Report: report})
		if refused, ok := errors.AsType[refusedError](err); !ok || refused.n != 2 {
			t.Errorf("two lines are bad: %v", err)
		}
		text, err := os.ReadFile(report)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"line":3,"result":"refused","message":"column temp: \"warm\" is not a number"`) || !strings.HasPrefix(lines[1], `{"line":4,"result":"refused","message":"device: there is no device`) {
			t.Errorf("report: %s", text)
		}
	}
	waitFor(t, "the readings", func() bool {
		return cmp.Equal([]any{20.5, 21.0}, deviceSamples(t, client, "l1", "temperature"))
	})
	// What was done before is not done again.
	source, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	print, err := transfer.Fingerprint(source)
	if err = errors.Join(err, source.Close()); err != nil {
		t.Fatal(err)
	}
	owner, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	if err := (transfer.State{Account: owner.ID, File: print, Options: "readings logger   ", Line: 4, Sum: transfer.Sum{Readings: 1}}).Save(state); err != nil {
		t.Fatal(err)
	}
	if err := run(importReadingsCmd{Template: "logger", State: state}); err != nil {
		t.Errorf("after the bad lines: %v", err)
	}
	if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state is left: %v", err)
	}
	// By options of its own, all for one device: other values for times that are taken.
	if err := os.WriteFile(file, []byte("time;temp\n2026-01-02 00:00;9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(importReadingsCmd{Decoder: "csv", Options: options, Device: "l1"}); err != nil {
		t.Error(err)
	}
	waitFor(t, "the reading of the other file", func() bool {
		return cmp.Equal([]any{20.5, 21.0, 10.0}, deviceSamples(t, client, "l1", "temperature"))
	})
	// Devices that may announce themselves do so in a file as well.
	ask[any](t, client, `mutation { createTemplate(input: {kind: DEVICE, name: "beacon", publish: true, provisioning: OPEN, measures: [{name: "temperature", type: "number"}],
		decoder: {name: "csv", options: {device: "id", time: {column: "time", format: "rfc3339"}, measures: {temperature: "temp"}}}}) { template { id } } }`, nil)
	if err := os.WriteFile(file, []byte("id,time,temp\nb1,2026-01-01T00:00:00Z,7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(importReadingsCmd{Template: "beacon"}); err != nil {
		t.Error(err)
	}
	waitFor(t, "the reading of the beacon", func() bool {
		return cmp.Equal([]any{7.0}, deviceSamples(t, client, "b1", "temperature"))
	})
}

// TestImportCommands takes a file without saying of what, as ever.
func TestImportCommands(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"import --account a --dry-run x.ndjson":               "import objects",
		"import objects --account a x.ndjson":                 "import objects",
		"import --account a --from cdf x.json y.json":         "import objects",
		"import readings --account a --template probe x.csv":  "import readings",
		"import readings --account a --decoder csv --quiet -": "import readings",
	} {
		var c cli
		parser, err := kong.New(&c, kong.Vars{"version": version})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.Parse(strings.Fields(line))
		if err != nil || !strings.HasPrefix(parsed.Command(), want) {
			t.Errorf("%s: %v, %v; want %s", line, parsed, err, want)
		}
	}
}
