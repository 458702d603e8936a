package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLiveExamples runs every operation of docs/live.md that has an answer there,
// in order, and compares the answers.
func TestLiveExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/live.md")
	if err != nil {
		t.Fatal(err)
	}
	client, _ := newAccount(t)
	found := example.FindAllStringSubmatch(string(text), -1)
	if len(found) < 5 {
		t.Fatalf("the page has %d examples, want 5", len(found))
	}
	for _, pair := range found {
		var want any
		if err := json.Unmarshal([]byte(pair[2]), &want); err != nil {
			t.Errorf("the answer is no JSON: %v\n%s", err, pair[2])
			continue
		}
		if diff := cmp.Diff(want, ask[any](t, client, pair[1], nil)); diff != "" {
			t.Errorf("%s\n(-page +answer)\n%s", pair[1], diff)
		}
	}
}
