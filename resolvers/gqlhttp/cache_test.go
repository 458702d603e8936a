package gqlhttp

import (
	"strings"
	"testing"
)

func TestCacheIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	c := newCache(100, 100, 30, func(key, value string) int { return len(key) + len(value) })
	add := func(key string, size int) { c.Add(t.Context(), key, strings.Repeat("x", size-len(key))) }
	has := func(key string) bool { _, ok := c.Get(t.Context(), key); return ok }

	for _, key := range []string{"a", "b", "c"} {
		add(key, 30)
	}
	if !has("a") || !has("b") || !has("c") {
		t.Fatal("what fits is not kept")
	}
	has("a") // so that b is the one used longest ago
	add("d", 30)
	if has("b") || !has("a") || !has("c") || !has("d") {
		t.Error("not the one used longest ago was dropped")
	}
	add("e", 31)
	if has("e") {
		t.Error("too heavy, and kept")
	}
	for range 10 {
		add("a", 30) // again, and not counted again
	}
	if !has("a") || !has("c") || !has("d") || c.bytes != 90 {
		t.Errorf("%d bytes after the same key again", c.bytes)
	}
	for n := range 1000 {
		c.Add(t.Context(), strings.Repeat("k", n%20), "")
	}
	if c.bytes > 100 || c.kept.Len() > 100 {
		t.Errorf("%d bytes, %d entries", c.bytes, c.kept.Len())
	}
}
