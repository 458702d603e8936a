package registry

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// ManualRule says what becomes of readings of an asset itself, whoever took
// them, where a device feeds the same measure.
type ManualRule string

// The rules. In a declaration, none is ManualUnfed.
const (
	ManualUnfed      ManualRule = "UNFED"       // they are taken while no device feeds the measure
	ManualNewestWins ManualRule = "NEWEST_WINS" // both are kept, the newer value is the newest
)

// MarshalGQL writes the rule as a GraphQL enum value.
func (r ManualRule) MarshalGQL(w io.Writer) {
	if r == "" {
		r = ManualUnfed
	}
	marshalEnum(w, string(r))
}

// UnmarshalGQL reads the rule from a GraphQL enum value.
func (r *ManualRule) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, r, ManualUnfed, ManualNewestWins)
}

// checkManual tells what is wrong with what a template says of manual readings.
func (m *MeasureDeclaration) checkManual(c *checker, path string, kind Kind) {
	switch {
	case m.Manual == "":
	case m.Manual != ManualNewestWins:
		c.add(path+".manual", "enum", "is UNFED or NEWEST_WINS")
	case kind != KindAsset:
		c.add(path+".manual", "kind", "only assets have readings of their own")
	case m.Computed != "":
		c.add(path+".manual", "computed", "a computed measure has no readings")
	}
}

// Feed says that a device feeds a measure of an asset for some time.
type Feed struct {
	Measure string
	Since   time.Time
	// Until is nil while it does.
	Until *time.Time
}

// CheckManual refuses a reading of an asset itself for a measure that a device
// feeds at that time, unless the template lets the newer one win.
func (t *Template) CheckManual(measure string, at time.Time, feeds []Feed) *Refusal {
	if m := t.Declared(measure); m != nil && m.Manual == ManualNewestWins {
		return nil
	}
	for _, f := range feeds {
		if f.Measure == measure && !at.Before(f.Since) && (f.Until == nil || at.Before(*f.Until)) {
			return &Refusal{Reason: ReasonFedByDevice, Measure: measure, Rule: "fed", Message: fmt.Sprintf("a device feeds measure %s of the asset at that time", measure)}
		}
	}
	return nil
}

// Source names what a reading is of, for messages.
func (r *Reading) Source() string {
	if r.Asset != "" {
		return "asset " + strconv.Quote(r.Asset)
	}
	return "device " + strconv.Quote(r.Device)
}
