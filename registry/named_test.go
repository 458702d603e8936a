package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAttributesNamed(t *testing.T) {
	all := Attributes{"model": "A", "serial": nil, "level": 5}
	for name, c := range map[string]struct {
		names []string
		want  Attributes
	}{
		"all":              {nil, all},
		"none":             {[]string{}, Attributes{}},
		"some":             {[]string{"level", "ghost", "Model", "level"}, Attributes{"level": 5}},
		"one that is null": {[]string{"serial"}, Attributes{"serial": nil}},
	} {
		for kind, got := range map[string]Attributes{
			"group": (&Group{Attributes: all}).AttributesNamed(c.names), "device": (&Device{Attributes: all}).AttributesNamed(c.names),
			"asset": (&Asset{Attributes: all}).AttributesNamed(c.names),
		} {
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", kind, name, diff)
			}
		}
	}
}
