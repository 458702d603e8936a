package registry

import (
	"encoding/base64"
	"strings"
)

// The sizes of a page.
const (
	DefaultPage = 20
	MaxPage     = 1000
)

// PageRequest asks for a part of an ordered list: the first after a cursor, or
// the last before one.
type PageRequest struct {
	// Size is the number of items, from 0 to MaxPage.
	Size int
	// Backward takes the last items before Cursor rather than the first after it.
	Backward bool
	// Key is the key that the cursor holds; empty at the start (or end).
	Key string
}

// Page is a part of an ordered list, always in the list's own order.
type Page[T any] struct {
	Items       []T
	HasNext     bool
	HasPrevious bool
}

// SearchKey begins the keys of what searches find, which tell of an order of
// their own: no key of another list begins so.
const SearchKey = "\x1e"

// NewPage checks the four arguments of a Relay connection that is in the order of
// its keys.
func NewPage(first *int, after *string, last *int, before *string) (PageRequest, error) {
	page, err := NewSearchPage(first, after, last, before)
	if err == nil && strings.HasPrefix(page.Key, SearchKey) {
		err = page.OtherOrder()
	}
	return page, err
}

// CursorField is the argument that the cursor was given as.
func (p PageRequest) CursorField() string {
	if p.Backward {
		return "before"
	}
	return "after"
}

// OtherOrder refuses a cursor that another order gave.
func (p PageRequest) OtherOrder() error {
	return InvalidField(p.CursorField(), "order", "this cursor belongs to another order: ask for the first page again")
}

// NewSearchPage is NewPage for what a search finds.
func NewSearchPage(first *int, after *string, last *int, before *string) (PageRequest, error) {
	page := PageRequest{Size: DefaultPage}
	if (first != nil || after != nil) && (last != nil || before != nil) {
		return page, InvalidField("last", "exclusive", "page forward with first and after, or backward with last and before, not both")
	}
	size, cursor, name := first, after, "first"
	if last != nil || before != nil {
		page.Backward, size, cursor, name = true, last, before, "last"
	}
	if size != nil {
		if *size < 0 || *size > MaxPage {
			return page, InvalidField(name, "range", "a page has 0 to %d items", MaxPage)
		}
		page.Size = *size
	}
	if cursor != nil {
		key, err := ParseCursor(*cursor)
		if err != nil {
			return page, err
		}
		page.Key = key
	}
	return page, nil
}

const cursorPrefix = "k:"

// Cursor makes an opaque cursor from the key of an item.
func Cursor(key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + key))
}

// ParseCursor returns the key that a cursor was made from.
func ParseCursor(cursor string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	key, ok := strings.CutPrefix(string(raw), cursorPrefix)
	if err != nil || !ok {
		return "", InvalidField("cursor", "format", "%q is not a cursor of this list: use one that a query returned", cursor)
	}
	return key, nil
}
