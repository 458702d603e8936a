package ingest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// nursery is a store in which devices announce themselves: beacons, which report
// their firmware, and trackers, which report their color.
type nursery struct {
	*devices
	templates map[string]*registry.Template
	// made has the templates of the devices by their references.
	made     map[string]string
	created  []registry.NewTwin
	reported []registry.Report
}

func newNursery(made map[string]string) *nursery {
	template := func(name, measure, attribute string) *registry.Template {
		return &registry.Template{ID: registry.ID(name), Kind: registry.KindDevice, Name: name, Measures: []registry.MeasureDeclaration{{Name: measure, ValueType: registry.ValueNumber}},
			Behaviour: registry.Behaviour{Provisioning: registry.ProvisioningOpen, Reported: []string{attribute}}}
	}
	return &nursery{devices: new(devices), made: made,
		templates: map[string]*registry.Template{"beacon": template("beacon", "temperature", "firmware"), "tracker": template("tracker", "speed", "color")}}
}

func (n *nursery) KnownDevices(_ context.Context, _ registry.Scope, references []string) ([]*KnownDevice, error) {
	out := make([]*KnownDevice, len(references))
	for i, reference := range references {
		if template, ok := n.made[reference]; ok {
			out[i] = &KnownDevice{ID: registry.ID(reference), Reference: reference, TemplateID: registry.ID(template)}
		}
	}
	return out, nil
}

func (n *nursery) TemplatesByID(_ context.Context, _ registry.Scope, ids []registry.ID) ([]*registry.Template, error) {
	out := make([]*registry.Template, len(ids))
	for i, id := range ids {
		out[i] = n.templates[string(id)]
	}
	return out, nil
}

func (n *nursery) DeviceTemplates(_ context.Context, _ registry.Scope, names []string) ([]*registry.Template, error) {
	out := make([]*registry.Template, len(names))
	for i, name := range names {
		out[i] = n.templates[name]
	}
	return out, nil
}

func (n *nursery) Announce(_ context.Context, _ registry.Scope, made []registry.NewTwin) ([]*registry.Error, error) {
	wrong := make([]*registry.Error, len(made))
	for i, one := range made {
		if one.Reference == "unwanted" {
			wrong[i] = registry.Conflict("reference", "no more of these")
			continue
		}
		n.created, n.made[one.Reference] = append(n.created, one), one.Template
	}
	return wrong, nil
}

func (n *nursery) Unfit(_ registry.Scope, _ *registry.Template, attributes registry.Attributes) *registry.Error {
	if attributes["firmware"] == "bad" {
		return registry.InvalidField("firmware", "enum", "is no firmware")
	}
	return nil
}

func (n *nursery) Report(_ context.Context, scope registry.Scope, reports []registry.Report, rehearse bool) ([]*registry.Error, error) {
	wrong, refused := make([]*registry.Error, len(reports)), map[int]bool{}
	for i, one := range reports {
		if wrong[i] = n.Unfit(scope, nil, one.Attributes); wrong[i] != nil {
			refused[one.Message] = true
		}
	}
	for _, one := range reports {
		if !rehearse && !refused[one.Message] {
			n.reported = append(n.reported, one)
		}
	}
	return wrong, nil
}

// announced checks readings and does what follows from them before they are queued.
func announced(t *testing.T, r *Receiver, who *registry.Principal, readings []registry.Reading, message func(int) int) *checked {
	t.Helper()
	c, err := r.check(t.Context(), who, "http", readings, nil)
	if err == nil {
		err = r.announce(t.Context(), who, c, readings, message)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func alone(i int) int  { return i }
func together(int) int { return 0 }

// says is a reading of a beacon with its firmware.
func says(device, firmware string) registry.Reading {
	return registry.Reading{Device: device, MeasuredAt: noon, Values: map[string]any{"temperature": 1.0}, Attributes: registry.Attributes{"firmware": firmware}}
}

// TestReportEveryTime hands on what a device says also where it said that before:
// somebody else may have changed it since. In one message the last counts.
func TestReportEveryTime(t *testing.T) {
	n, who := newNursery(map[string]string{"b1": "beacon"}), newPrincipal()
	r, err := NewReceiver(nil, NewDirectory(n, func() time.Time { return noon }), func() time.Time { return noon }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, versions := range [][]string{{"1.2"}, {"1.3", "1.2"}, {"1.2"}, {"1.3"}} {
		var readings []registry.Reading
		for _, version := range versions {
			readings = append(readings, says("b1", version))
		}
		announced(t, r, who, readings, together)
	}
	var got []any
	for _, one := range n.reported {
		got = append(got, one.Attributes["firmware"])
	}
	if diff := cmp.Diff([]any{"1.2", "1.2", "1.2", "1.3"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAnnounce(t *testing.T) {
	tracker := registry.Reading{Device: "new-1", Template: "tracker", MeasuredAt: noon, Values: map[string]any{"speed": 1.0}, Attributes: registry.Attributes{"color": "red"}}
	newcomer := func(device string) registry.Reading {
		one := says(device, "2.0")
		one.Template = "beacon"
		return one
	}
	badNewcomer := func(device string) registry.Reading {
		one := newcomer(device)
		one.Attributes = registry.Attributes{"firmware": "bad"}
		return one
	}
	for name, c := range map[string]struct {
		readings []registry.Reading
		message  func(int) int
		faults   []string // index, path and rule
		created  []registry.Attributes
		reported []registry.ID
	}{
		"made once": {readings: []registry.Reading{newcomer("New-1"), newcomer("New-1")}, message: together,
			created: []registry.Attributes{{"firmware": "2.0"}}, reported: []registry.ID{"New-1"}},
		"of another template than it says": {readings: []registry.Reading{newcomer("new-1"), tracker}, message: alone,
			faults:  []string{"1 values.speed undeclared", "1 attributes.color reported"},
			created: []registry.Attributes{{"firmware": "2.0"}}, reported: []registry.ID{"new-1"}},
		"a refused message says nothing": {readings: []registry.Reading{says("b1", "2.0"), newcomer("unwanted")}, message: together,
			faults: []string{"1 reference conflict"}},
		"a message refused for a report says and makes nothing": {readings: []registry.Reading{says("b1", "2.0"), newcomer("new-1"), says("b2", "bad")}, message: together,
			faults: []string{"2 firmware enum"}},
		"a message spoils no other": {readings: []registry.Reading{says("b1", "bad"), says("b1", "2.0"), says("b1", "bad")}, message: alone,
			faults: []string{"0 firmware enum", "2 firmware enum"}, reported: []registry.ID{"b1"}},
		"nor one that would make the same device": {readings: []registry.Reading{badNewcomer("new-1"), newcomer("new-1"), badNewcomer("new-1")}, message: alone,
			faults: []string{"0 firmware enum", "2 firmware enum"}, created: []registry.Attributes{{"firmware": "2.0"}}, reported: []registry.ID{"new-1"}},
		"a part of it does": {readings: []registry.Reading{says("b1", "2.0"), newcomer("unwanted")}, message: alone,
			faults: []string{"1 reference conflict"}, reported: []registry.ID{"b1"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNursery(map[string]string{"b1": "beacon", "b2": "beacon"})
			r, err := NewReceiver(nil, NewDirectory(n, func() time.Time { return noon }), func() time.Time { return noon }, nil)
			if err != nil {
				t.Fatal(err)
			}
			checked := announced(t, r, newPrincipal(), c.readings, c.message)
			var faults []string
			for _, f := range checked.faults {
				faults = append(faults, fmt.Sprint(f.Index, " ", f.Path, " ", f.Rule))
			}
			slices.Sort(faults)
			slices.Sort(c.faults)
			if diff := cmp.Diff(c.faults, faults); diff != "" {
				t.Errorf("faults: -want +got\n%s", diff)
			}
			var created []registry.Attributes
			for _, one := range n.created {
				created = append(created, one.Attributes)
			}
			if diff := cmp.Diff(c.created, created); diff != "" {
				t.Errorf("created: -want +got\n%s", diff)
			}
			var reported []registry.ID
			for _, one := range n.reported {
				reported = append(reported, one.Device)
			}
			if diff := cmp.Diff(c.reported, reported); diff != "" {
				t.Errorf("reported: -want +got\n%s", diff)
			}
		})
	}
}
