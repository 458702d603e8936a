package main

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var example = regexp.MustCompile("(?s)```graphql\n(.*?)```\n\n```json\n(.*?)```")

// TestReadmeExamples runs every query of the README on the demonstration fleet
// and compares the answer with the one that stands there.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	client, account := newAccount(t)
	loadDemo(t, client, account)
	found := example.FindAllStringSubmatch(string(text), -1)
	if len(found) < 5 {
		t.Fatalf("the README has %d examples, want 5", len(found))
	}
	for _, pair := range found {
		var want any
		if err := json.Unmarshal([]byte(pair[2]), &want); err != nil {
			t.Errorf("the answer is no JSON: %v\n%s", err, pair[2])
			continue
		}
		got := ask[any](t, client, pair[1], nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n(-README +answer)\n%s", pair[1], diff)
		}
	}
}

// TestDemo runs the whole demonstration, which checks itself.
func TestDemo(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	d := loadDemo(t, client, account)
	report, err := d.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range report.wrong {
		t.Error(wrong)
	}
	if want := (120 + 1) * 4 * 3; report.sent != want || report.stored != want {
		t.Errorf("%d values sent and %d stored, want %d", report.sent, report.stored, want)
	}
}
