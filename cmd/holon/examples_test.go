package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var exampleVariables = regexp.MustCompile(`(?m)^# variables: (.*)$`)

// TestGraphiQLExamples runs every example of GraphiQL on the demonstration
// fleet: none may fail.
func TestGraphiQLExamples(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	loadDemo(t, client, account)
	files, err := filepath.Glob("../../resolvers/graphiql/examples/*.graphql")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d examples: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nsubscription ") {
			continue // followed by the test of subscriptions
		}
		var variables map[string]any
		if found := exampleVariables.FindSubmatch(text); found != nil {
			if err := json.Unmarshal(found[1], &variables); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
		if err := client.query(t.Context(), string(text), variables, nil); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}
