package graph_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

// TestWordsAsTheyAreWritten searches for words with points, underscores and
// apostrophes as they stand, now and as of now.
func TestWordsAsTheyAreWritten(t *testing.T) {
	w := newWorld(t)
	texts := []string{"plc_07", "1.2.3", "10.0.0.1", "foo_bar", "v2.1.0", "a.b@c.de", "it's", "hall_3.b", "o'hara", "x:y", "3,5", "plc-07", "Zähler_Süd", "12.a", "_lead_07", "trail_", "東京"}
	for i, text := range texts {
		must(w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: fmt.Sprint("n", i), Attributes: registry.Attributes{"text": "Of " + text + "!"}}))
	}
	if err := w.AwaitWords(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		want := fmt.Sprint("n", i)
		if got := w.search(registry.Search{Text: text}); !slices.Contains(got, want) {
			t.Errorf("%s finds %q, not %s", text, got, want)
		}
	}
	now := time.Now()
	past := w
	past.scope.AsOf = &now
	for i, text := range texts {
		want := fmt.Sprint("n", i)
		if got := past.search(registry.Search{Text: text}); !slices.Contains(got, want) {
			t.Errorf("as of now %s finds %q, not %s", text, got, want)
		}
	}
	for _, text := range []string{"plc_08", "1.3", "foo.bar.baz"} {
		if got := w.search(registry.Search{Text: text}); len(got) != 0 {
			t.Errorf("%s finds %q", text, got)
		}
	}
}
