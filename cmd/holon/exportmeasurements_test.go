package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/transfer"
)

// TestReadingsByHandAreExported measures an asset by a device and by hand, in
// other units than the templates', and imports the account's file into another
// account: that one answers alike.
func TestReadingsByHandAreExported(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	ask[any](t, c, `mutation {
		device: createTemplate(input: {kind: DEVICE, name: "probe", publish: true, measures: [{name: "t", type: "number", unit: "Cel"}]}) { template { id } }
		asset: createTemplate(input: {kind: ASSET, name: "room", publish: true, measures: [{name: "inside", type: "number", unit: "Cel", manual: NEWEST_WINS}]}) { template { id } }
		createDevice(input: {reference: "p1", template: "probe"}) { device { id } }
		createAsset(input: {reference: "r1", template: "room"}) { asset { id } }
		linkDevice(input: {device: "p1", asset: "r1", since: "2026-02-01T00:00:00Z", measures: [{device: "t", asset: "inside"}]}) { link { id } }
		recordReadings(input: {readings: [
			{device: "p1", measuredAt: "2026-03-01T00:00:00Z", values: {t: {value: 77, unit: "[degF]"}}},
			{asset: "r1", measuredAt: "2026-03-01T00:00:00Z", values: {inside: {value: 50, unit: "[degF]"}}},
			{asset: "r1", measuredAt: "2026-03-02T00:00:00Z", values: {inside: 11}}
		]}) { accepted }
	}`, nil)
	answer := func(c apiClient) string {
		return string(ask[json.RawMessage](t, c, `{
			device(reference: "p1") { measurements(measure: "t", first: 10) { edges { node { at value unit } } } }
			asset(reference: "r1") { live { measure value measuredAt } measurements(measure: "inside", first: 10) { edges { node { at value unit } } } }
		}`, nil))
	}
	measured := func(c apiClient) func() bool {
		return func() bool { return strings.Count(answer(c), `"at"`) == 4 && strings.Count(answer(c), `"[degF]"`) >= 2 }
	}
	waitFor(t, "the readings", measured(c))

	file := filepath.Join(t.TempDir(), "acme.ndjson.gz")
	export := exportCmd{File: file, Measurements: true, Quiet: true}
	export.accountSettings, _ = testStores(account)
	if err := export.Run(t.Context(), zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	other, copied := newAccount(t)
	command := importCmd{Files: []string{file}, Quiet: true}
	command.accountSettings, command.redisSettings = testStores(copied)
	if err := command.Run(t.Context(), zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the readings of the copy", measured(other))
	waitFor(t, "the newest value of the copy", func() bool { return answer(other) == answer(c) })
	if diff := cmp.Diff(answer(c), answer(other)); diff != "" {
		t.Errorf("the copy answers otherwise (-original +copy):\n%s", diff)
	}
}

// TestResumedImportGoesOnWithItsReport begins an import after lines that were
// dealt with: its report has these, and one that begins anew has not.
func TestResumedImportGoesOnWithItsReport(t *testing.T) {
	t.Parallel()
	_, account := newAccount(t)
	owner, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lines := []string{`{"record":"header","format":"holon","version":1}`, `{"record":"group","path":"/a"}`, `{"record":"group","path":"/b"}`, `{"record":"end","lines":4}`}
	file, report := filepath.Join(dir, "acme.ndjson"), filepath.Join(dir, "report.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() int {
		t.Helper()
		command := importCmd{Files: []string{file}, Quiet: true, Report: report}
		command.accountSettings, command.redisSettings = testStores(account)
		if err := command.Run(t.Context(), zerolog.Nop()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(report)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	source, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	print, err := transfer.Fingerprint(source)
	if err = errors.Join(err, source.Close()); err != nil {
		t.Fatal(err)
	}
	if n := run(); n != 2 {
		t.Errorf("%d lines are reported", n)
	}
	state := transfer.State{Account: owner.ID, File: print, Options: "keep-ids=false", Line: 2, Offset: int64(len(lines[0]) + len(lines[1]) + 2)}
	if err := state.Save(file + ".import-state"); err != nil {
		t.Fatal(err)
	}
	if n := run(); n != 3 {
		t.Errorf("%d lines are reported after going on", n)
	}
	if n := run(); n != 2 {
		t.Errorf("%d lines are reported when begun anew", n)
	}
}
