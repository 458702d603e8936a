package registry

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// MeasureDeclaration is a measure that a device or an asset has values of.
type MeasureDeclaration struct {
	Name string `json:"name"`
	// Type names a measure type of the account, or a built-in one.
	Type string `json:"type"`
	// ValueType is what the measure type's values are; Values lists those of an
	// ENUM, Fields what a COMPOSITE has.
	ValueType ValueType      `json:"valueType"`
	Values    []string       `json:"values,omitempty"`
	Fields    []MeasureField `json:"fields,omitempty"`
	// Unit is a UCUM code such as "Cel" or "%"; empty where there is none.
	Unit string `json:"unit,omitempty"`
	// Minimum and Maximum bound what is to be believed of a number, MaximumRate
	// how much it can change in a second. Others are kept and marked as suspect.
	Minimum     *float64 `json:"minimum,omitempty"`
	Maximum     *float64 `json:"maximum,omitempty"`
	MaximumRate *float64 `json:"maximumRate,omitempty"`
	// Computed is an expression over other measures and attributes: the measure
	// is worked out when it is read, and never stored. Empty for others.
	Computed string `json:"computed,omitempty"`
	// Manual is what becomes of readings of an asset itself where a device feeds
	// the measure: they are refused if it is empty.
	Manual ManualRule `json:"manual,omitempty"`
	// Annotations are for clients.
	Annotations Annotations `json:"annotations,omitempty"`
	Keep
}

// ComputedText is the expression, nil where there is none.
func (m MeasureDeclaration) ComputedText() *string {
	if m.Computed == "" {
		return nil
	}
	return &m.Computed
}

// Limited says whether the measure has limits.
func (m *MeasureDeclaration) Limited() bool {
	return m.Minimum != nil || m.Maximum != nil || m.MaximumRate != nil
}

// Suspect says why a number should not be believed by itself; empty if it can
// be.
func (m *MeasureDeclaration) Suspect(number float64) SuspectReason {
	switch {
	case m.Minimum != nil && number < *m.Minimum:
		return SuspectBelowMinimum
	case m.Maximum != nil && number > *m.Maximum:
		return SuspectAboveMaximum
	}
	return ""
}

// SuspectChange says whether a number that follows another after a time, in
// milliseconds, changed faster than can be believed.
func (m *MeasureDeclaration) SuspectChange(before, number float64, after int64) SuspectReason {
	if m.MaximumRate != nil && after > 0 && math.Abs(number-before) > *m.MaximumRate*float64(after)/1000 {
		return SuspectRate
	}
	return ""
}

// CheckNumeric tells what a measure has that only numbers can have; nil if it is
// a number, or has nothing of the kind.
func (m *MeasureDeclaration) CheckNumeric(path string) *Violation {
	switch {
	case m.ValueType == ValueNumber:
		return nil
	case m.Unit != "":
		return &Violation{path + ".unit", "type", "only numbers have units"}
	case m.Limited():
		return &Violation{path, "type", "only numbers have limits"}
	case m.Computed != "":
		return &Violation{path + ".computed", "type", "only numbers are computed"}
	}
	return nil
}

// checkLimits tells what is wrong with the limits of a measure.
func (m *MeasureDeclaration) checkLimits(c *checker, path string) {
	for _, limit := range []*float64{m.Minimum, m.Maximum, m.MaximumRate} {
		if limit != nil && !finite(*limit) {
			c.add(path, "type", "limits are finite numbers")
		}
	}
	if m.Minimum != nil && m.Maximum != nil && *m.Minimum > *m.Maximum {
		c.add(path+".minimum", "range", "is not above the maximum")
	}
	if m.MaximumRate != nil && *m.MaximumRate <= 0 {
		c.add(path+".maximumRate", "range", "is above 0")
	}
}

// UnitCode is the unit, nil where there is none.
func (m MeasureDeclaration) UnitCode() *string {
	if m.Unit == "" {
		return nil
	}
	return &m.Unit
}

// UnknownMeasure is the answer for a measure that a twin does not have; it lists
// those that the twin's template declares and those that are stored.
func UnknownMeasure(measure string, t *Template, stored []*Series) *Error {
	var names []string
	for i := range t.Measures {
		names = append(names, t.Measures[i].Name)
	}
	for _, s := range stored {
		names = append(names, s.Measure)
	}
	slices.Sort(names)
	err := NotFound("measure", measure)
	err.Field = "measure"
	err.Message += fmt.Sprintf(": there are %s", cmp.Or(strings.Join(slices.Compact(names), ", "), "none"))
	return err
}
