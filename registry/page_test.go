package registry

import (
	"testing"
)

func TestNewPage(t *testing.T) {
	n := func(i int) *int { return &i }
	s := func(s string) *string { return &s }
	for name, test := range map[string]struct {
		first, last   *int
		after, before *string
		want          PageRequest
		code          Code
	}{
		"nothing given":            {want: PageRequest{Size: DefaultPage}},
		"first":                    {first: n(3), want: PageRequest{Size: 3}},
		"none":                     {first: n(0), want: PageRequest{Size: 0}},
		"after":                    {first: n(3), after: s(Cursor("a/b")), want: PageRequest{Size: 3, Key: "a/b"}},
		"last":                     {last: n(3), want: PageRequest{Size: 3, Backward: true}},
		"before":                   {before: s(Cursor("")), want: PageRequest{Size: DefaultPage, Backward: true}},
		"negative":                 {first: n(-1), code: CodeInvalid},
		"too many":                 {last: n(MaxPage + 1), code: CodeInvalid},
		"both ways":                {first: n(1), last: n(1), code: CodeInvalid},
		"a cursor of nothing":      {after: s("nonsense"), code: CodeInvalid},
		"a cursor without its key": {after: s("YWJj"), code: CodeInvalid},
	} {
		got, err := NewPage(test.first, test.after, test.last, test.before)
		if test.code == "" && (err != nil || got != test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
		if test.code != "" && CodeOf(err) != test.code {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
	}
}

func FuzzCursor(f *testing.F) {
	for _, key := range []string{"", "/site/10", "Ü", "k:"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		got, err := ParseCursor(Cursor(key))
		if err != nil || got != key {
			t.Errorf("the cursor of %q gave %q, %v", key, got, err)
		}
	})
}
