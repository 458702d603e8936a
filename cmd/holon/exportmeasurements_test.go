package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
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
