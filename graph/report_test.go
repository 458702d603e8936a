package graph_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// TestReport takes each message wholly or not at all, whatever the others say.
func TestReport(t *testing.T) {
	t.Parallel()
	f := newField(t)
	template, err := f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{Kind: registry.KindDevice, Name: "beacon", Publish: true,
		Properties: map[string]any{"firmware": map[string]any{"type": "string", "pattern": "^[0-9.]+$"}, "place": map[string]any{"type": "object"}},
		Behaviour:  registry.Behaviour{Reported: []string{"firmware", "place"}}})
	if err != nil {
		t.Fatal(err)
	}
	one, two := f.device("b1", "beacon"), f.device("b2", "beacon")
	says := func(message int, device registry.ID, attributes registry.Attributes) registry.Report {
		return registry.Report{Device: device, Attributes: attributes, Message: message}
	}
	reports := []registry.Report{
		says(1, one.ID, registry.Attributes{"firmware": "1.0", "place": map[string]any{"room": "a", "floor": int64(1)}}),
		says(2, one.ID, registry.Attributes{"firmware": "2.0"}), says(2, two.ID, registry.Attributes{"firmware": "bad"}),
		says(3, two.ID, registry.Attributes{"firmware": "3.0"}),
		says(4, one.ID, registry.Attributes{"place": map[string]any{"room": "b", "floor": nil}}),
		says(5, "nobody", registry.Attributes{"firmware": "4.0"}),
	}
	for _, rehearse := range []bool{true, false, false} {
		wrong, err := f.store.Report(t.Context(), f.scope, reports, rehearse)
		if err != nil {
			t.Fatal(err)
		}
		var got []registry.Code
		for _, e := range wrong {
			code := registry.Code("")
			if e != nil {
				code = e.Code
			}
			got = append(got, code)
		}
		if diff := gocmp.Diff([]registry.Code{"", "", registry.CodeInvalid, "", "", registry.CodeNotFound}, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		want := [2]registry.Attributes{{"firmware": "1.0", "place": map[string]any{"room": "b"}}, {"firmware": "3.0"}}
		if rehearse {
			want = [2]registry.Attributes{{}, {}}
		}
		for i, id := range []registry.ID{one.ID, two.ID} {
			found, err := f.store.DevicesByID(t.Context(), f.scope, []registry.ID{id})
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want[i], found[0].Attributes); diff != "" {
				t.Errorf("device %d after a rehearsal: %v, -want +got\n%s", i+1, rehearse, diff)
			}
			if !rehearse && found[0].Version != 2 {
				t.Errorf("device %d has version %d", i+1, found[0].Version)
			}
		}
	}
	if e := f.store.Unfit(f.scope, template, registry.Attributes{"firmware": "bad"}); e == nil || f.store.Unfit(f.scope, template, registry.Attributes{"firmware": "1.0", "place": nil}) != nil {
		t.Errorf("unfit: %v", e)
	}
}
