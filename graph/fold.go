package graph

import "github.com/holon-registry/holon/rule"

// Fold makes keys comparable: two keys are the same key if they differ only in
// case or in how Unicode composes them. Keys are kept as they were given, and
// folded beside it.
func Fold(key string) string { return rule.Fold(key) }

// foldOptional folds a key that may be absent.
func foldOptional(key *string) *string {
	if key == nil {
		return nil
	}
	folded := Fold(*key)
	return &folded
}
