package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSodaHall loads a small building with the example, which holds all that it
// asks against the files: also as of before a box was moved to another air
// handler.
func TestSodaHall(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	folder := t.TempDir()
	for name, lines := range map[string][]string{
		"entities.ndjson": {
			`{"id": "b", "types": ["Building"], "kind": "location"}`, `{"id": "f1", "types": ["Floor"], "kind": "location"}`,
			`{"id": "r1", "types": ["Room"], "kind": "location"}`, `{"id": "z1", "types": ["HVAC_Zone"], "kind": "location"}`,
			`{"id": "ahu1", "types": ["AHU"], "kind": "equipment"}`, `{"id": "ahu2", "types": ["AHU"], "kind": "equipment"}`,
			`{"id": "vav1", "types": ["VAV"], "kind": "equipment"}`, `{"id": "vav2", "types": ["VAV"], "kind": "equipment"}`,
			`{"id": "t1", "types": ["Zone_Air_Temperature_Sensor"], "kind": "point"}`, `{"id": "t2", "types": ["Zone_Air_Temperature_Sensor"], "kind": "point"}`,
		},
		"relations.ndjson": {
			`{"from": "f1", "type": "isPartOf", "to": "b"}`, `{"from": "f1", "type": "hasPart", "to": "r1"}`, `{"from": "z1", "type": "hasPart", "to": "r1"}`,
			`{"from": "ahu1", "type": "feeds", "to": "vav1"}`, `{"from": "ahu2", "type": "feeds", "to": "vav2"}`,
			`{"from": "z1", "type": "isFedBy", "to": "vav1"}`, `{"from": "z1", "type": "isFedBy", "to": "vav2"}`,
			`{"from": "vav1", "type": "hasPoint", "to": "t1"}`, `{"from": "vav2", "type": "hasPoint", "to": "t2"}`,
		},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := exec.CommandContext(t.Context(), "go", "run", "../../examples/soda-hall", "-data", folder)
	load.Env = append(os.Environ(), "HOLON_URL="+client.url, "HOLON_KEY="+client.key)
	said, err := load.CombinedOutput()
	want := "With vav1 fed by ahu2, /b/f1 has 2 temperature sensors of zones (ahu2 2); as of before that, 2 temperature sensors of zones (ahu1 1, ahu2 1)"
	if err != nil || !strings.Contains(string(said), want) {
		t.Errorf("%v, and no line %q in:\n%s", err, want, said)
	}
}
