package decode

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// at is when the payloads of the tests are received.
var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// station is a template with measures of every type.
var station = &registry.Template{Kind: registry.KindDevice, Name: "station", Measures: []registry.MeasureDeclaration{
	{Name: "temperature", ValueType: registry.ValueNumber, Unit: "Cel"}, {Name: "humidity", ValueType: registry.ValueNumber, Unit: "%"},
	{Name: "count", ValueType: registry.ValueNumber}, {Name: "open", ValueType: registry.ValueBoolean}, {Name: "firmware", ValueType: registry.ValueString},
	{Name: "mode", ValueType: registry.ValueEnum, Values: []string{"off", "heat"}}, {Name: "place", ValueType: registry.ValueLocation},
	{Name: "motion", ValueType: registry.ValueComposite, Fields: []registry.MeasureField{{Name: "x", Type: registry.ValueNumber}, {Name: "y", Type: registry.ValueNumber}, {Name: "z", Type: registry.ValueNumber}}},
	{Name: "index", ValueType: registry.ValueNumber, Computed: "measures.temperature"},
}}

// object is short for options.
type object = map[string]any

// one is a payload and what has to come of it: readings, or else an error that
// begins with a text.
type one struct {
	decoder string
	options object
	// open decodes for a template that takes everything.
	open    bool
	device  string
	payload string
	want    []registry.Reading
	wrong   string
}

func check(t *testing.T, cases map[string]one) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			template := station
			if c.open {
				template = nil
			}
			d, violations := New(registry.TemplateDecoder{Name: c.decoder, Options: c.options}, template)
			if len(violations) > 0 {
				t.Fatalf("options: %+v", violations)
			}
			got, err := d.Decode(t.Context(), Payload{Content: []byte(c.payload), ReceivedAt: at, Device: c.device})
			if c.wrong != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.wrong) {
					t.Fatalf("got %+v, %v; want the error %q", got, err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// reading is short for a reading without a time.
func reading(device string, values object) registry.Reading {
	return registry.Reading{Device: device, Values: values}
}

// timed is a reading of a time.
func timed(device, measuredAt string, values object) registry.Reading {
	when, err := time.Parse(time.RFC3339Nano, measuredAt)
	if err != nil {
		panic(err)
	}
	return registry.Reading{Device: device, MeasuredAt: when.UTC(), Values: values}
}

func TestOptions(t *testing.T) {
	computed := &registry.Template{Kind: registry.KindAsset, Name: "x", Behaviour: registry.Behaviour{Decoder: &registry.TemplateDecoder{Name: "senml"}}}
	if v := Check(computed); len(v) != 1 || v[0].Rule != "kind" {
		t.Errorf("an asset's decoder: %+v", v)
	}
	for name, c := range map[string]struct {
		decoder string
		options object
		want    string // path and rule of the first violation
	}{
		"unknown decoder":    {"xml", nil, "decoder.name unknown"},
		"no measures":        {"json", nil, "decoder.options.measures required"},
		"unknown option":     {"json", object{"measures": object{"count": "n"}, "frame": "x"}, "decoder.options.frame undeclared"},
		"unknown of measure": {"json", object{"measures": object{"count": object{"path": "n", "factor": 2.0}}}, "decoder.options.measures.count.factor undeclared"},
		"undeclared measure": {"json", object{"measures": object{"pressure": "p"}}, "decoder.options.measures.pressure undeclared"},
		"computed measure":   {"csv", object{"measures": object{"index": "p"}}, "decoder.options.measures.index computed"},
		"wrong path":         {"json", object{"measures": object{"count": "a..b"}}, "decoder.options.measures.count.path format"},
		"no path":            {"json", object{"measures": object{"count": object{"scale": 2.0}}}, "decoder.options.measures.count.path required"},
		"scale of a text":    {"json", object{"measures": object{"firmware": object{"path": "f", "scale": 2.0}}}, "decoder.options.measures.firmware type"},
		"wrong unit":         {"json", object{"measures": object{"temperature": object{"path": "t", "unit": "kg"}}}, "decoder.options.measures.temperature.unit unit"},
		"no unit":            {"json", object{"measures": object{"count": object{"path": "t", "unit": "kg"}}}, "decoder.options.measures.count.unit unit"},
		"not of the enum":    {"json", object{"measures": object{"mode": object{"path": "m", "values": object{"0": "cool"}}}}, "decoder.options.measures.mode.values.0 enum"},
		"half a location":    {"json", object{"measures": object{"place": object{"fields": object{"latitude": "a"}}}}, "decoder.options.measures.place.fields.longitude required"},
		"no such field":      {"json", object{"measures": object{"motion": object{"fields": object{"w": "a"}}}}, "decoder.options.measures.motion.fields.w undeclared"},
		"format of time":     {"json", object{"measures": object{"count": "n"}, "time": object{"path": "t", "format": "15:04"}}, "decoder.options.time.format format"},
		"zone abbreviated":   {"json", object{"measures": object{"count": "n"}, "time": object{"path": "t", "format": "%Y-%m-%d %H:%M %Z"}}, "decoder.options.time.format format"},
		"zone of Go":         {"json", object{"measures": object{"count": "n"}, "time": object{"path": "t", "format": "2006-01-02 15:04 MST"}}, "decoder.options.time.format format"},
		"half a day":         {"json", object{"measures": object{"count": "n"}, "time": object{"path": "t", "format": "%Y-%m-%d %I:%M"}}, "decoder.options.time.format format"},
		"half a day of Go":   {"csv", object{"measures": object{"count": "n"}, "time": object{"column": "t", "format": "2006-01-02 3:04"}}, "decoder.options.time.format format"},
		"time zone":          {"csv", object{"measures": object{"count": "n"}, "time": object{"column": "t", "format": "%d.%m.%Y", "zone": "Mars/Base"}}, "decoder.options.time.zone unknown"},
		"zone of unix":       {"csv", object{"measures": object{"count": "n"}, "time": object{"column": "t", "format": "unix", "zone": "Europe/Berlin"}}, "decoder.options.time.zone exclusive"},
		"delimiter":          {"csv", object{"measures": object{"count": "n"}, "delimiter": "::"}, "decoder.options.delimiter format"},
		"comma twice":        {"csv", object{"measures": object{"count": "n"}, "decimal": ","}, "decoder.options.decimal exclusive"},
		"type of LPP":        {"cayenne", object{"measures": object{"count": object{"channel": 1.0, "type": "radar"}}}, "decoder.options.measures.count.type enum"},
		"no channel":         {"cayenne", object{"measures": object{"count": "temperature"}}, "decoder.options.measures.count.channel required"},
		"several numbers":    {"cayenne", object{"measures": object{"count": object{"channel": 1.0, "type": "gps"}}}, "decoder.options.measures.count.part required"},
		"not an object":      {"senml", object{"measures": "temperature"}, "decoder.options.measures type"},
	} {
		_, violations := New(registry.TemplateDecoder{Name: c.decoder, Options: c.options}, station)
		if len(violations) == 0 {
			t.Errorf("%s: no violation, want %s", name, c.want)
			continue
		}
		if got := violations[0].Path + " " + violations[0].Rule; got != c.want {
			t.Errorf("%s: got %s (%s), want %s", name, got, violations[0].Message, c.want)
		}
	}
}

// TestDecodingEnds with the context, in the middle of a payload.
func TestDecodingEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		measure any
		payload string
	}{
		"json": {"n", `[{"n": 1}]`}, "csv": {"n", "n\n1\n"}, "senml": {"n", `[{"n": "n", "v": 1}]`}, "cayenne": {lpp(1, "digital_input"), "\x01\x00\x05"},
	} {
		d, violations := New(registry.TemplateDecoder{Name: name, Options: object{"measures": object{"count": c.measure}}}, station)
		if len(violations) > 0 {
			t.Fatalf("%s: %+v", name, violations)
		}
		p := Payload{Content: []byte(c.payload), ReceivedAt: at, Device: "a"}
		if got, err := d.Decode(ctx, p); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if got, err := d.Decode(t.Context(), p); err != nil || len(got) != 1 {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestMoments(t *testing.T) {
	for format, c := range map[string]struct {
		zone, text, want string
	}{
		"rfc3339":               {text: "2026-03-01T08:00:00.25+01:00", want: "2026-03-01T07:00:00.25Z"},
		"unix":                  {text: "1772355600.5", want: "2026-03-01T09:00:00.5Z"},
		"unixMilli":             {text: "1772355600123", want: "2026-03-01T09:00:00.123Z"},
		"%Y-%m-%d %H:%M:%S":     {zone: "Europe/Berlin", text: "2026-07-01 10:00:00", want: "2026-07-01T08:00:00Z"},
		"%d.%m.%y %H:%M:%S.%f":  {text: "01.03.26 10:00:00.125", want: "2026-03-01T10:00:00.125Z"},
		"%Y%m%dT%H%M%S%z":       {text: "20260301T100000+0200", want: "2026-03-01T08:00:00Z"},
		"02/01/2006 3:04 PM":    {zone: "America/New_York", text: "01/03/2026 5:30 PM", want: "2026-03-01T22:30:00Z"},
		"%e %b %Y, %I:%M:%S %p": {text: " 1 Mar 2026, 11:00:00 PM", want: "2026-03-01T23:00:00Z"},
	} {
		options := object{"time": object{"path": "t", "format": format}, "measures": object{"count": "n"}}
		if c.zone != "" {
			options["time"].(object)["zone"] = c.zone
		}
		d, violations := New(registry.TemplateDecoder{Name: "json", Options: options}, station)
		if len(violations) > 0 {
			t.Errorf("%s: %+v", format, violations)
			continue
		}
		text := `"` + c.text + `"`
		if strings.HasPrefix(format, "unix") {
			text = c.text
		}
		got, err := d.Decode(t.Context(), Payload{Content: []byte(`{"n": 1, "t": ` + text + `}`), ReceivedAt: at, Device: "a"})
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if diff := cmp.Diff([]registry.Reading{timed("a", c.want, object{"count": 1.0})}, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", format, diff)
		}
	}
}

// Clocks that are put forward and back: every zone by the same rule.
func TestLocal(t *testing.T) {
	for _, c := range []struct{ zone, shown, want string }{
		{"Europe/Berlin", "2024-10-27 01:59:59", "2024-10-26T23:59:59Z"},
		{"Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27T00:30:00Z"}, // twice: the first
		{"Europe/Berlin", "2024-10-27 03:00:00", "2024-10-27T02:00:00Z"},
		{"Europe/Berlin", "2024-03-31 01:59:59", "2024-03-31T00:59:59Z"},
		{"Europe/Berlin", "2024-03-31 02:30:00", "2024-03-31T01:30:00Z"}, // never: an hour later
		{"Europe/Berlin", "2024-03-31 03:00:00", "2024-03-31T01:00:00Z"},
		{"America/New_York", "2024-11-03 01:30:00", "2024-11-03T05:30:00Z"},
		{"America/New_York", "2024-03-10 02:30:00", "2024-03-10T07:30:00Z"},
		{"Australia/Lord_Howe", "2024-04-07 01:45:00", "2024-04-06T14:45:00Z"}, // by half an hour
		{"Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30T22:00:00Z"},        // by a day
		{"Asia/Kathmandu", "2024-01-01 00:00:00", "2023-12-31T18:15:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := time.Parse(time.DateTime, c.shown)
		if err != nil {
			t.Fatal(err)
		}
		if got := local(shown, zone).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s is %s, want %s", c.shown, c.zone, got, c.want)
		}
	}
}
