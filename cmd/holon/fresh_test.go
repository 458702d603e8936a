package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

// TestReadingsAreJudgedByWhatChanged sends a reading at once after each change that
// decides about it: by the process that answered the change nothing older counts.
func TestReadingsAreJudgedByWhatChanged(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "vat", publish: true, measures: [{name: "n", type: "number"}]}) { template { id } }
		beacon: createTemplate(input: {kind: DEVICE, name: "beacon", publish: true, provisioning: OPEN, reported: ["serial"],
			properties: {serial: {type: "integer"}}, required: ["serial"], measures: [{name: "n", type: "number"}]}) { template { id } }
		room: createTemplate(input: {kind: ASSET, name: "room", publish: true, measures: [{name: "level", type: "number"}]}) { template { id } }
		createDevices(input: {devices: [{reference: "vat-1", template: "vat"}, {reference: "vat-2", template: "vat"}]}) { succeeded }
		createAsset(input: {reference: "room-1", template: "room"}) { asset { id } }
	}`, nil)
	start := time.Now().Add(-time.Hour).UTC()
	n := 0
	send := func(what, reading string, want int) {
		t.Helper()
		n++
		at := start.Add(time.Duration(n) * time.Second).Format(time.RFC3339)
		if reading[:8] == `{"asset"` { // what a link feeds depends on the time
			at = time.Now().UTC().Format(time.RFC3339Nano)
		}
		status, answer := sendRaw(t, c, "/v1/readings?ack=stored", "application/json", fmt.Sprintf(`%s, "measuredAt": %q}`, reading, at))
		if status != want && (status != http.StatusAccepted || want != http.StatusOK) {
			t.Errorf("%s: %d %v, want %d", what, status, answer, want)
		}
	}
	const vat, more, room = `{"device": "vat-1", "values": {"n": 1}`, `{"device": "vat-1", "values": {"n": 1, "m": 2}`, `{"asset": "room-1", "values": {"level": 3}`

	send("a device", vat, http.StatusOK)
	ask[any](t, c, `mutation { deleteDevice(input: {reference: "vat-1"}) { deletedId } createDevice(input: {reference: "vat-1", template: "vat"}) { device { id } } }`, nil)
	send("one that was made anew", vat, http.StatusOK)

	send("what it does not measure yet", more, http.StatusBadRequest)
	ask[any](t, c, `mutation {
		updateTemplate(input: {kind: DEVICE, name: "vat", measures: [{name: "n", type: "number"}, {name: "m", type: "number"}]}) { template { id } }
		publishTemplate(input: {kind: DEVICE, name: "vat"}) { template { id } }
		migrateObjects(input: {kind: DEVICE, template: "vat", all: true}) { migrated }
	}`, nil)
	send("what it measures now", more, http.StatusOK)

	send("by hand", room, http.StatusOK)
	ask[any](t, c, `mutation { linkDevice(input: {device: "vat-2", asset: "room-1", measures: [{device: "n", asset: "level"}]}) { link { id } } }`, nil)
	send("by hand where a device feeds", room, http.StatusBadRequest)
	ask[any](t, c, `mutation { unlinkDevice(input: {device: "vat-2", asset: "room-1"}) { link { id } } }`, nil)
	time.Sleep(2 * time.Millisecond) // the link ends a moment after its last value
	send("by hand where none feeds any more", room, http.StatusOK)

	const beacon = `{"device": "vat-2", "template": "beacon", "attributes": {"serial": 1}, "values": {"n": 2}`
	send("of a device that is there", `{"device": "vat-2", "values": {"n": 1}`, http.StatusOK)
	ask[any](t, c, `mutation { deleteDevice(input: {reference: "vat-2"}) { deletedId } }`, nil)
	send("a newcomer in its place", beacon, http.StatusOK)
	made := ask[struct {
		Device struct {
			Template   struct{ Name string }
			Attributes map[string]any
		}
	}](t, c, `{ device(reference: "vat-2") { template { name } attributes } }`, nil).Device
	if made.Template.Name != "beacon" || made.Attributes["serial"] != 1.0 {
		t.Errorf("the newcomer is %+v", made)
	}
	waitFor(t, "the values", func() bool {
		live := ask[struct {
			A, B struct{ Live []struct{ Measure string } }
		}](t, c, `{ a: device(reference: "vat-1") { live { measure } } b: device(reference: "vat-2") { live { measure } } }`, nil)
		return len(live.A.Live) == 2 && len(live.B.Live) == 1
	})
	if left := ask[struct{ DeadLetters struct{ TotalCount int } }](t, c, `{ deadLetters(first: 1) { totalCount } }`, nil).DeadLetters; left.TotalCount != 0 {
		t.Errorf("%d dead letters", left.TotalCount)
	}
}

// TestOtherProcessesAreTold tells a process of what another one has changed.
func TestOtherProcessesAreTold(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1000)
	go holon.stores.twin.KnownChanged(t.Context(), func(ids []registry.ID) {
		for _, id := range ids {
			select {
			case told <- string(id):
			default:
			}
		}
	})
	waitFor(t, "what changed", func() bool { // nobody listens yet at first
		holon.stores.twin.AnnounceKnown([]registry.ID{"one-of-a-test", "other-of-a-test"})
		for {
			select {
			case id := <-told:
				if id == "other-of-a-test" {
					return true
				}
			default:
				return false
			}
		}
	})
}
