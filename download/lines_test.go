package download

import "testing"

func TestText(t *testing.T) {
	for name, one := range map[string]struct {
		value any
		want  string
	}{
		"a formula": {"=1+1", "'=1+1"}, "a plus": {"+49", "'+49"}, "a minus": {"-x", "'-x"}, "an at": {"@SUM(A1)", "'@SUM(A1)"}, "a tab": {"\t=1", "'\t=1"},
		"a word": {"a=b", "a=b"}, "nothing": {"", ""}, "a number": {-5.5, "-5.5"}, "an object": {map[string]any{"a": "=1"}, `{"a":"=1"}`}, "no value": {nil, ""},
	} {
		got, err := text(one.value)
		if err != nil || got != one.want {
			t.Errorf("%s: %q %v, want %q", name, got, err, one.want)
		}
	}
}
