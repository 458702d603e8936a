package rule

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Fold makes keys comparable: two keys are the same key if they differ only in
// case or in how Unicode composes them.
func Fold(key string) string { return strings.ToLower(norm.NFC.String(key)) }
