package decode

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"time"
)

// relative is the time below which times are seconds from now.
const relative = 1 << 28

// maxName bounds a name once it is put together.
const maxName = 1024

// senmlName is what a name may be once it is put together.
var senmlName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:./_-]*$`)

// take takes over what a record says of itself and of those that follow.
func (b *senmlBase) take(r *senmlRecord) *Error {
	for _, one := range []struct {
		field string
		from  *json.Number
		into  *float64
	}{{".bt", r.BaseTime, &b.time}, {".bv", r.BaseValue, &b.value}, {".bs", r.BaseSum, &b.sum}, {".bver", r.BaseVersion, &b.version}} {
		if one.from == nil {
			continue
		}
		n, err := one.from.Float64()
		if err != nil {
			return wrong(one.field, "is too large a number")
		}
		*one.into = n
	}
	if r.BaseName != nil {
		b.name = *r.BaseName
	}
	if r.BaseUnit != nil {
		b.unit = *r.BaseUnit
	}
	b.hasSum = b.hasSum || r.BaseSum != nil
	if b.version > 10 {
		return wrong(".bver", "is a version of SenML that is not known here")
	}
	return nil
}

// resolve makes a record that stands by itself; there is false for one that only
// has something to say of others.
func (b *senmlBase) resolve(r *senmlRecord, now time.Time) (out resolved, there bool, err *Error) {
	if out.value, err = b.valueOf(r); err != nil {
		return out, false, err
	}
	if r.Sum != nil || b.hasSum {
		sum, problem := add(b.sum, r.Sum)
		if problem != nil {
			return out, false, wrong(".s", "is too large a number")
		}
		out.sum = sum
	}
	if out.value == nil && r.Sum == nil {
		if r.Name != nil {
			return out, false, wrong("", "has no value")
		}
		return out, false, nil
	}
	name := ""
	if r.Name != nil {
		name = *r.Name
	}
	// Looked at before they are put together: a long base may hold for many records.
	if len(b.name)+len(name) > maxName {
		return out, false, wrong(".n", "makes a name of more than %d characters together with bn", maxName)
	}
	out.name = b.name + name
	if !senmlName.MatchString(out.name) {
		return out, false, wrong(".n", "makes no name together with bn: it has letters, digits and - : . / _, and begins with a letter or digit")
	}
	out.unit = b.unit
	if r.Unit != nil {
		out.unit = *r.Unit
	}
	at, problem := add(b.time, r.Time)
	if problem != nil || math.Abs(at) > maxSeconds {
		return out, false, wrong(".t", "lies too far away")
	}
	switch {
	case at == 0: // now
	case at < relative:
		if math.Abs(at) > relative {
			return out, false, wrong(".t", "lies too far away")
		}
		out.at = now.Add(time.Duration(math.Round(at*1e6)) * time.Microsecond).UTC()
	default:
		out.at, _ = secondsSince1970(at)
	}
	return out, true, nil
}

// valueOf is a record's value; nil if it has none.
func (b *senmlBase) valueOf(r *senmlRecord) (value any, err *Error) {
	n := 0
	if r.Value != nil {
		sum, problem := add(b.value, r.Value)
		if problem != nil {
			return nil, wrong(".v", "is too large a number")
		}
		value, n = sum, n+1
	}
	if r.Text != nil {
		value, n = *r.Text, n+1
	}
	if r.Flag != nil {
		value, n = *r.Flag, n+1
	}
	if r.Data != nil {
		value, n = *r.Data, n+1
	}
	if n > 1 {
		return nil, wrong("", "has more than one value")
	}
	return value, nil
}

// add adds a number to its base; nil is 0. Without a base a number stays as it
// is to its last digit.
func add(base float64, n *json.Number) (float64, error) {
	if n == nil {
		return base, nil
	}
	f, err := n.Float64()
	if base == 0 {
		return f, err
	}
	return tidy(base + f), err
}

// senmlUnits are the units of SenML's registry that UCUM writes in another way,
// or that would be taken for something else.
var senmlUnits = map[string]string{
	"C": "A.s", "lat": "deg", "lon": "deg", "/": "1", "%EL": "%", "EL": "s", "beat/min": "/min", "beats": "{beats}", "Bspl": "B[SPL]", "dBW": "dB[W]",
	"VAs": "V.A.s", "vars": "V.A.s{reactive}", "B": "By", "KiB": "KiBy", "B/s": "By/s", "MB/s": "MBy/s", "/100": "%", "/1000": "[ppth]", "Wh/km": "W.h/km",
	"As": "A.s",
}

// unitOfSenML is a unit as UCUM has it.
func unitOfSenML(code string) string {
	if known, ok := senmlUnits[strings.TrimSpace(code)]; ok {
		return known
	}
	return code
}
