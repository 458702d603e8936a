package decode

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// moments reads times in one format.
type moments struct {
	// unit is that of a number since 1970; 0 if times are texts.
	unit   time.Duration
	layout string
	zone   *time.Location
}

// The formats that have names; every other one is a layout.
var momentNames = map[string]moments{
	"rfc3339": {layout: time.RFC3339}, "unix": {unit: time.Second}, "unixMilli": {unit: time.Millisecond},
	"unixMicro": {unit: time.Microsecond}, "unixNano": {unit: time.Nanosecond},
}

// momentOptions reads "format" and "zone".
func (o *options) momentOptions() moments {
	format, zone := o.text("format"), o.text("zone")
	if format == "" {
		format = "rfc3339"
	}
	m, named := momentNames[format]
	m.zone = time.UTC
	if zone != "" {
		location, err := time.LoadLocation(zone)
		switch {
		case err != nil || zone == "Local":
			o.refuse("zone", "unknown", "is a time zone of the IANA database, such as Europe/Berlin")
		case named:
			o.refuse("zone", "exclusive", "is for layouts: %s says by itself where a time is", format)
		default:
			m.zone = location
		}
	}
	if named {
		return m
	}
	m.layout = format
	if strings.Contains(format, "%") {
		layout, err := goLayout(format)
		if err != nil {
			o.refuse("format", "format", "%s", err)
			return m
		}
		m.layout = layout
	}
	switch {
	case strings.Contains(m.layout, "MST"):
		// It would be read without an error, as if it were UTC.
		o.refuse("format", "format", `has the abbreviation of a time zone, which does not say how far it is from UTC: take %%z ("-0700") for times that say so, or the option zone`)
	case twelveHours(m.layout):
		o.refuse("format", "format", `has hours from 1 to 12 without saying which half of the day: take %%p ("PM") too, or %%H ("15")`)
	case !tellsMoments(m.layout):
		o.refuse("format", "format", `is rfc3339, unix, unixMilli, unixMicro, unixNano, or a layout such as "%%Y-%%m-%%d %%H:%%M:%%S" or "02.01.2006 15:04" with a year, a month and a day`)
	}
	return m
}

// tellsMoments says whether a layout writes dates so that they can be read back.
func tellsMoments(layout string) bool {
	for _, at := range []time.Time{time.Date(2019, 11, 23, 21, 43, 57, 0, time.UTC), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)} {
		back, err := time.Parse(layout, at.Format(layout))
		if err != nil || back.Year() != at.Year() || back.YearDay() != at.YearDay() {
			return false
		}
	}
	return true
}

// twelveHours says whether a layout writes the evening as the morning.
func twelveHours(layout string) bool {
	evening := time.Date(2019, 11, 23, 21, 43, 57, 0, time.UTC)
	back, err := time.Parse(layout, evening.Format(layout))
	return err == nil && back.Hour() == evening.Hour()-12
}

// directives are those of strftime, as Go writes them.
var directives = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'b': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'j': "002", 'a': "Mon", 'A': "Monday",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'z': "-0700", 'Z': "MST", 'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", '%': "%",
}

// goLayout turns a layout of strftime into one of Go.
func goLayout(format string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		c := format[i]
		switch {
		case c == '%':
			if i++; i == len(format) {
				return "", errors.New("ends with %")
			}
			if format[i] == 'f' { // Go reads fractions of a second by itself
				text := out.String()
				if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, ",") {
					return "", errors.New("has %f, which follows the dot after the seconds")
				}
				out.WriteString("999999999")
				continue
			}
			part, known := directives[format[i]]
			if !known {
				return "", errors.New("has %" + string(rune(format[i])) + ", which is not known here")
			}
			out.WriteString(part)
		case c == 'T' || c == 'Z':
			out.WriteByte(c)
		case c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			return "", errors.New("has letters or digits of its own beside % and what follows it; T and Z are allowed")
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}

// read reads a time; what is wrong is said in words.
func (m moments) read(v any) (time.Time, string) {
	if m.unit > 0 {
		return m.number(v)
	}
	text, ok := v.(string)
	if !ok {
		return time.Time{}, "a time is a text such as " + strconv.Quote(example.In(m.zone).Format(m.layout))
	}
	// A text that says its zone is not moved to that of the mapping.
	at, err := time.ParseInLocation(m.layout, strings.TrimSpace(text), time.UTC)
	if err != nil {
		return time.Time{}, strconv.Quote(shortened(text)) + " is not a time such as " + strconv.Quote(example.In(m.zone).Format(m.layout))
	}
	if !strings.Contains(m.layout, "07") { // which is how Go writes that a time says its zone
		at = local(at, m.zone)
	}
	return at.UTC(), ""
}

// local is the moment at which the clocks of a zone show what a time shows. What
// they show twice, when they are put back, is the first of the two moments; what
// they never show, when they are put forward, is as much later as they are put
// forward.
func local(shown time.Time, zone *time.Location) time.Time {
	utc := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), shown.Nanosecond(), time.UTC)
	_, before := utc.Add(-24 * time.Hour).In(zone).Zone()
	_, after := utc.Add(24 * time.Hour).In(zone).Zone()
	first := utc.Add(-time.Duration(before) * time.Second)
	if _, is := first.In(zone).Zone(); is == before {
		return first
	}
	second := utc.Add(-time.Duration(after) * time.Second)
	if _, is := second.In(zone).Zone(); is == after {
		return second
	}
	return first
}

var example = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// number reads a count of units since 1970. A whole one is read exactly; a
// fraction is cut to microseconds.
func (m moments) number(v any) (time.Time, string) {
	text, ok := v.(string)
	if number, is := v.(json.Number); is {
		text, ok = number.String(), true
	}
	text = strings.TrimSpace(text)
	if whole, err := strconv.ParseInt(text, 10, 64); ok && err == nil {
		seconds := int64(time.Second / m.unit)
		if whole/seconds > maxSeconds || whole/seconds < -maxSeconds {
			return time.Time{}, "the time lies too far away: is its unit another one?"
		}
		return time.Unix(whole/seconds, whole%seconds*int64(m.unit)).UTC(), ""
	}
	n, is := v.(float64)
	if !is {
		parsed, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			return time.Time{}, "a time is a number"
		}
		n = parsed
	}
	return secondsSince1970(n * m.unit.Seconds())
}

// maxSeconds is about the year 9999.
const maxSeconds = 253_402_300_799

func secondsSince1970(n float64) (time.Time, string) {
	if math.IsNaN(n) || math.Abs(n) > maxSeconds {
		return time.Time{}, "the time lies too far away: is its unit another one?"
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC(), ""
}
