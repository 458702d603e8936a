package registry

import (
	"reflect"
	"time"
)

// Desired is what a twin is to become: a value for each of some measures.
type Desired struct {
	TwinID ID
	// Version grows by one with every change.
	Version   int
	Values    map[string]any
	UpdatedAt time.Time
}

// NewDesired changes what a twin is to become. Values merge: nil takes one back.
type NewDesired struct {
	Ref    Ref
	Values map[string]any
	// IfVersion refuses the change with CONFLICT when the version differs; 0 is
	// that of a twin of which nothing was desired yet.
	IfVersion *int
}

// Delta are the desired values that differ from the newest ones.
func (d *Desired) Delta(live []LiveValue) map[string]any {
	out := map[string]any{}
	for name, value := range d.Values {
		out[name] = value
	}
	for _, is := range live {
		if want, ok := out[is.Measure]; ok && reflect.DeepEqual(want, PlainValue(is.Value)) {
			delete(out, is.Measure)
		}
	}
	return out
}
