package registry

import "time"

// Keep says for how long what was measured is kept, counted from the end of the
// hour or the day that it lies in. A time of 0 is for ever.
type Keep struct {
	// RawSeconds is for how long single measurements are kept. After that there
	// are roll-ups for each quarter of an hour only.
	RawSeconds float64 `json:"keepRawSeconds,omitempty"`
	// HourlySeconds is for how long those are kept. After that there are roll-ups
	// for each day only.
	HourlySeconds float64 `json:"keepHourlySeconds,omitempty"`
	// DailySeconds is for how long anything is kept.
	DailySeconds float64 `json:"keepDailySeconds,omitempty"`
}

// MinKeep and MaxKeep bound for how long something is kept.
const (
	MinKeep = time.Hour
	MaxKeep = 100 * 366 * 24 * time.Hour
)

// KeepRaw is for how long single measurements are kept; nil for ever.
func (k Keep) KeepRaw() *time.Duration { return seconds(k.RawSeconds) }

// KeepHourly is for how long there are roll-ups finer than days; nil for ever.
func (k Keep) KeepHourly() *time.Duration { return seconds(k.HourlySeconds) }

// KeepDaily is for how long anything is kept; nil for ever.
func (k Keep) KeepDaily() *time.Duration { return seconds(k.DailySeconds) }

// SetKeep notes for how long something is kept; nil is for ever.
func (m *MeasureDeclaration) SetKeep(raw, hourly, daily *time.Duration) {
	inSeconds := func(d *time.Duration) float64 {
		if d == nil {
			return 0
		}
		return d.Seconds()
	}
	m.Keep = Keep{inSeconds(raw), inSeconds(hourly), inSeconds(daily)}
}

// Forever says whether nothing ever goes.
func (k Keep) Forever() bool { return k == Keep{} }

// checkKeep tells what is wrong with how long a measure is kept.
func (m *MeasureDeclaration) checkKeep(c *checker, path string) {
	if m.Forever() {
		return
	}
	if m.Computed != "" {
		c.add(path, "kind", "a computed measure is not stored, so nothing is kept of it")
		return
	}
	if m.RawSeconds == 0 {
		c.add(path+".keepRaw", "required", "is needed where keepHourly or keepDaily is given: nothing else goes before single measurements do")
		return
	}
	before := MinKeep
	for _, stage := range []struct {
		name string
		keep *time.Duration
	}{{"keepRaw", m.KeepRaw()}, {"keepHourly", m.KeepHourly()}, {"keepDaily", m.KeepDaily()}} {
		switch {
		case stage.keep == nil:
		case *stage.keep < MinKeep || *stage.keep > MaxKeep:
			c.add(path+"."+stage.name, "range", "is one hour to a hundred years")
		case *stage.keep < before:
			c.add(path+"."+stage.name, "range", "is not shorter than what is finer is kept")
		default:
			before = *stage.keep
		}
	}
}

// Kept says whether any measure of the template is not kept for ever.
func (t *Template) Kept() bool {
	for i := range t.Measures {
		if !t.Measures[i].Forever() {
			return true
		}
	}
	return false
}
