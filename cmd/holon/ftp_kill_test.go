package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/internal/testkit"
)

// TestFTPKilled kills a gateway in the middle of a file, and starts it again: all
// of the file arrives, and nothing twice.
func TestFTPKilled(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, makeLogger, nil)
	directory := t.TempDir()
	begin := func() (*testkit.Program, string) {
		address, metrics := testkit.FreeAddr(t), testkit.FreeAddr(t)
		gateway := testkit.Start(t, "gateway", []string{asProgram + "=1"}, os.Args[0],
			"gateway", "--mqtt-addr", "", "--allow-volatile-queue", "--ftp-listen", address, "--ftp-directory", directory, "--metrics-addr", metrics)
		gateway.AwaitOK(t, "http://"+metrics+"/readyz", 30*time.Second)
		return gateway, address
	}
	gateway, address := begin()
	const n = 10_000
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var file strings.Builder
	for i := range n {
		fmt.Fprintf(&file, "{\"device\": \"l1\", \"measuredAt\": %d, \"values\": {\"temperature\": %d}}\n", start.Add(time.Duration(i)*time.Second).UnixMilli(), i)
	}
	logIn(t, address, client.key).put("/readings/long.ndjson", file.String())
	line := 0
	waitFor(t, "a part of the file", func() bool {
		for {
			states, err := filepath.Glob(filepath.Join(directory, "*", "state", "*.json"))
			if err != nil {
				t.Fatal(err)
			}
			if len(states) == 0 {
				return true // it was faster
			}
			var s struct{ Line int }
			if text, err := os.ReadFile(states[0]); err == nil && json.Unmarshal(text, &s) == nil && s.Line > 0 {
				line = s.Line
				return true
			}
			if line == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	})
	gateway.Kill()
	<-gateway.Ended()
	t.Logf("killed after line %d of %d", line, n)
	gateway, address = begin()
	c := logIn(t, address, client.key)
	c.await("/done/readings/long.ndjson")
	type days []struct{ Value float64 }
	var stored struct {
		Device      struct{ Count, Sum days }
		DeadLetters struct{ TotalCount int }
	}
	waitFor(t, "all of the file", func() bool {
		err := client.query(t.Context(), `query ($from: DateTime!, $to: DateTime!) {
			device(reference: "l1") { count: aggregate(measure: "temperature", from: $from, to: $to, every: "P1D", function: COUNT) { value }
				sum: aggregate(measure: "temperature", from: $from, to: $to, every: "P1D", function: SUM) { value } }
			deadLetters { totalCount } }`, map[string]any{"from": start, "to": start.AddDate(0, 0, 1)}, &stored)
		if err != nil {
			t.Fatal(err)
		}
		// The two are read one after the other, and more may have come between.
		return len(stored.Device.Count) == 1 && stored.Device.Count[0].Value >= n && len(stored.Device.Sum) == 1 && stored.Device.Sum[0].Value >= n*(n-1)/2
	})
	if stored.Device.Count[0].Value != n || stored.Device.Sum[0].Value != n*(n-1)/2 || stored.DeadLetters.TotalCount != 0 {
		t.Errorf("stored: %+v", stored)
	}
	gateway.Stop(t)
}
