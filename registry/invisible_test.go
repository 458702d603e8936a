package registry_test

import (
	"strings"
	"testing"

	"github.com/holon-registry/holon/registry"
)

func TestNamesAreSeen(t *testing.T) {
	for _, name := range []string{
		"pump 7", "Köln", "東京　駅", "می\u200cخواهم", "क्\u200dष", "ന്\u200d", "क्\u200cष", "👩\u200d🔧", "❤\ufe0f\u200d🔥", "1\ufe0f\u20e3", "葛\U000e0100", "ประตู", "สวัสดี", "שלום", "e\u0301tage",
	} {
		if v := registry.CheckReference("reference", name); v != nil {
			t.Errorf("%q: %s", name, v.Message)
		}
		if v := registry.CheckGroupName("name", name); v != nil {
			t.Errorf("%q: %s", name, v.Message)
		}
	}
	for name, says := range map[string]string{
		"pump\u200b7": "U+200B as character 5", "\ufeffpump": "U+FEFF as character 1", "a\nb": "U+000A", "a\u202eb": "U+202E", "a\u2066b\u2069": "U+2066", "a\u00adb": "U+00AD",
		"a\u200db": "U+200D", "a\u200cb": "U+200C", "می\u200c": "U+200C", "a\u00a0b": "U+00A0", "\u00a0": "U+00A0", "a\u2028b": "U+2028", "a\u2060b": "U+2060",
		"\u3164": "U+3164", "a\ufe0f": "U+FE0F", "a\U000e0041": "U+E0041", "a\u0085": "U+0085", "a\u200eb": "U+200E",
	} {
		for _, v := range []*registry.Violation{registry.CheckReference("key", name), registry.CheckGroupName("key", name)} {
			if v == nil || v.Path != "key" || v.Rule != "invisible" || !strings.Contains(v.Message, says) {
				t.Errorf("%q: %+v, want %s", name, v, says)
			}
		}
	}
	for _, name := range []string{"", " ", "　", "a ", "\xff"} {
		if v := registry.CheckReference("key", name); v == nil || v.Rule != "format" {
			t.Errorf("%q: %+v", name, v)
		}
	}
}
