package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

func TestParseJSON(t *testing.T) {
	one := func(values map[string]any) []registry.Reading {
		return []registry.Reading{{Device: "d", Values: values}}
	}
	for name, c := range map[string]struct {
		in, device string
		want       []registry.Reading
	}{
		"one":             {in: ` {"device":"d","values":{"t":1.5}} `, want: one(map[string]any{"t": 1.5})},
		"array":           {in: `[{"device":"d","values":{"t":-0}},{"device":"e","values":{"t":1e3}}]`, want: []registry.Reading{{Device: "d", Values: map[string]any{"t": math.Copysign(0, -1)}}, {Device: "e", Values: map[string]any{"t": 1000.0}}}},
		"empty array":     {in: `[ ]`},
		"all types":       {in: `{"device":"d","values":{"n":0.1,"b":true,"c":false,"s":""}}`, want: one(map[string]any{"n": 0.1, "b": true, "c": false, "s": ""})},
		"escapes":         {in: `{"device":"d","values":{"s":"a\"\\\/\b\f\n\r\té😀\ud800x"}}`, want: one(map[string]any{"s": "a\"\\/\b\f\n\r\té😀\ufffdx"})},
		"escaped key":     {in: `{"\u0064evice":"d","values":{"\u0074":1}}`, want: one(map[string]any{"t": 1.0})},
		"UTF-8":           {in: `{"device":"d","values":{"s":"größer"}}`, want: one(map[string]any{"s": "größer"})},
		"time in ms":      {in: `{"device":"d","measuredAt":1700000000123,"values":{"t":1}}`, want: []registry.Reading{{Device: "d", MeasuredAt: at(1700000000123), Values: map[string]any{"t": 1.0}}}},
		"time as text":    {in: `{"device":"d","measuredAt":"2023-11-14T23:13:20.5+01:00","values":{"t":1}}`, want: []registry.Reading{{Device: "d", MeasuredAt: at(1700000000500), Values: map[string]any{"t": 1.0}}}},
		"nulls":           {in: `{"device":"d","measuredAt":null,"messageId":null,"values":{"t":1}}`, want: one(map[string]any{"t": 1.0})},
		"message id":      {in: `{"device":"d","messageId":"7","values":{"t":1}}`, want: []registry.Reading{{Device: "d", MessageID: "7", Values: map[string]any{"t": 1.0}}}},
		"device by topic": {in: `[{"values":{"t":1}}]`, device: "d", want: one(map[string]any{"t": 1.0})},
		"no values":       {in: `{"device":"d"}`, want: one(nil)},
		"location":        {in: `{"device":"d","values":{"p":{"latitude":52.5,"longitude":13.4},"q":{"altitude":34,"longitude":-180,"latitude":0}}}`, want: one(map[string]any{"p": registry.Location{Latitude: 52.5, Longitude: 13.4}, "q": registry.Location{Longitude: -180, Altitude: new(34.0)}})},
		"GeoJSON":         {in: `{"device":"d","values":{"p":{"type":"Point","coordinates":[13.4,52.5]}}}`, want: one(map[string]any{"p": registry.Location{Latitude: 52.5, Longitude: 13.4}})},
		"composite":       {in: `{"device":"d","values":{"a":{"x":0.5,"on":true,"mode":"auto"}}}`, want: one(map[string]any{"a": registry.Composite{"x": 0.5, "on": true, "mode": "auto"}})},
		"unit":            {in: `{"device":"d","values":{"t":{"value":70,"unit":"[degF]"},"u":{"value":1}}}`, want: one(map[string]any{"t": registry.Quantity{Value: 70.0, Unit: "[degF]"}, "u": 1.0})},
		"own time":        {in: `{"device":"d","values":{"t":{"value":true,"measuredAt":1700000000123},"u":{"value":{"x":1},"measuredAt":"2023-11-14T23:13:20.5+01:00"}}}`, want: one(map[string]any{"t": registry.Quantity{Value: true, MeasuredAt: at(1700000000123)}, "u": registry.Quantity{Value: registry.Composite{"x": 1.0}, MeasuredAt: at(1700000000500)}})},
		"attributes":      {in: `{"device":"d","attributes":{"n":9007199254740993,"o":{"l":[1.50,99999999999999999999]}}}`, want: []registry.Reading{{Device: "d", Attributes: registry.Attributes{"n": json.Number("9007199254740993"), "o": map[string]any{"l": []any{json.Number("1.50"), json.Number("99999999999999999999")}}}}}},
		"smallest number": {in: `{"device":"d","values":{"t":1e-400}}`, want: one(map[string]any{"t": 0.0})},
	} {
		t.Run(name, func(t *testing.T) {
			got := ParseJSON([]byte(c.in), c.device)
			if len(got.Faults) > 0 {
				t.Fatalf("faults: %+v", got.Faults)
			}
			if diff := cmp.Diff(c.want, got.Readings); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	for name, c := range map[string]struct {
		in, device string
		want       []string // index path rule
		reason     registry.DeadLetterReason
	}{
		"empty":            {in: ``, want: []string{"0  syntax"}},
		"cut off":          {in: `{"device":"d","values":{"t":1`, want: []string{"0  syntax"}},
		"two documents":    {in: `{"device":"d","values":{"t":1}} {}`, want: []string{"0  syntax"}},
		"trailing comma":   {in: `[{"device":"d","values":{"t":1}},]`, want: []string{"0  syntax"}},
		"leading zero":     {in: `{"device":"d","values":{"t":01}}`, want: []string{"0  syntax"}},
		"NaN":              {in: `{"device":"d","values":{"t":NaN}}`, want: []string{"0  syntax"}},
		"bad escape":       {in: `{"device":"\x","values":{"t":1}}`, want: []string{"0  syntax"}},
		"not UTF-8":        {in: "{\"device\":\"\xff\",\"values\":{\"t\":1}}", want: []string{"0  syntax"}},
		"line in a text":   {in: "{\"device\":\"a\nb\",\"values\":{\"t\":1}}", want: []string{"0  syntax"}},
		"nested":           {in: `{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, want: []string{"0  syntax"}},
		"a number":         {in: `7`, want: []string{"0  type"}},
		"list of texts":    {in: `["a",{"device":"d","values":{"t":1}},null]`, want: []string{"0  type", "2  type"}},
		"unknown field":    {in: `{"device":"d","values":{"t":1},"timestamp":[{"a":[1,true,null,"x"]}]}`, want: []string{"0 timestamp undeclared"}},
		"twice":            {in: `{"device":"d","device":"d","values":{"t":1},"values":{"t":1,"t":2}}`, want: []string{"0 device unique", "0 values unique", "0 values.t unique"}},
		"device":           {in: `{"device":7,"values":{"t":1}}`, want: []string{"0 device type"}},
		"device and topic": {in: `{"device":"d","values":{"t":1}}`, device: "d", want: []string{"0 device undeclared"}},
		"values":           {in: `[{"device":"d","values":[1]}]`, want: []string{"0 values type"}},
		"value null":       {in: `{"device":"d","values":{"t":null,"u":{"a":[1]},"v":{"a":1,"a":1},"w":{"latitude":1},"x":{"value":1,"u":"m"},"y":[1]}}`, want: []string{"0 values.t type", "0 values.u type", "0 values.v type", "0 values.w type", "0 values.x type", "0 values.y type"}, reason: registry.ReasonWrongType},
		"value too large":  {in: `{"device":"d","values":{"t":1e999}}`, want: []string{"0 values.t range"}, reason: registry.ReasonWrongType},
		"time":             {in: `[{"device":"d","measuredAt":"yesterday"},{"device":"d","measuredAt":1.5},{"device":"d","measuredAt":true},{"device":"d","measuredAt":1e12},{"device":"d","measuredAt":99999999999999999999}]`, want: []string{"0 measuredAt format", "1 measuredAt format", "2 measuredAt type", "3 measuredAt format", "4 measuredAt format"}},
		"message id":       {in: `{"device":"d","messageId":7,"values":{"t":1}}`, want: []string{"0 messageId type"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ParseJSON([]byte(c.in), c.device)
			var faults []string
			for _, f := range got.Faults {
				faults = append(faults, fmt.Sprintf("%d %s %s", f.Index, f.Path, f.Rule))
				if want := c.reason; want != "" && f.Reason != want || want == "" && f.Reason != registry.ReasonMalformed {
					t.Errorf("reason %s", f.Reason)
				}
				if f.Message == "" {
					t.Error("a fault has no message")
				}
			}
			if diff := cmp.Diff(c.want, faults); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseLines(t *testing.T) {
	got := ParseLines([]byte("{\"device\":\"a\",\"values\":{\"t\":1}}\r\n\n  \n{\"device\":\n{\"device\":\"b\",\"values\":{\"t\":2}} x\n{\"device\":\"c\",\"values\":{\"t\":3},\"x\":1}\n{\"device\":\"d\",\"values\":{\"t\":4}}"))
	if len(got.Readings) != 5 || got.Readings[0].Device != "a" || got.Readings[4].Device != "d" {
		t.Errorf("readings: %+v", got.Readings)
	}
	var faults []string
	for _, f := range got.Faults {
		faults = append(faults, fmt.Sprintf("%d %s", f.Index, f.Rule))
	}
	if diff := cmp.Diff([]string{"1 syntax", "2 syntax", "3 undeclared"}, faults); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if m := got.Faults[0].Message; !strings.HasPrefix(m, "line 4: ") {
		t.Errorf("message %q names another line", m)
	}
}

// jsonReading is a reading as encoding/json understands it.
type jsonReading struct {
	Device     string         `json:"device"`
	Asset      string         `json:"asset"`
	MeasuredAt any            `json:"measuredAt"`
	MessageID  *string        `json:"messageId"`
	Values     map[string]any `json:"values"`
}

func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{
		`{"device":"d","measuredAt":1700000000123,"messageId":"x","values":{"t":1.5e3,"b":true,"s":"a\u00e9\ud83d\ude00\n"}}`,
		`[{"device":"d","measuredAt":"2023-11-14T22:13:20Z","values":{"t":-0.0}},{"device":"e","values":{}}]`,
		`{"device":"d","values":{"p":{"latitude":1,"longitude":2,"altitude":null},"g":{"type":"Point","coordinates":[1,2,3]},"q":{"value":70,"unit":"[degF]","measuredAt":1700000000123},"c":{"x":1,"y":true}}}`,
		`{"device":"d","values":{"p":{"latitude":1},"q":{"value":{"value":1,"unit":"m"},"unit":"m"},"c":{"x":[],"x":{}}}}`,
		`{"asset":"a","values":{"t":1}}`, `[[],{},"x",null,true,0]`, `{"a":{"b":[{"c":"\\"}]}}`, `{"device":"d","values":{"t":1e999}}`, " [ ] ", `{"x":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got := ParseJSON(in, "")
		broken := len(got.Faults) == 1 && got.Faults[0].Rule == "syntax"
		if json.Valid(in) == broken {
			// Texts that are not UTF-8 and deep nesting are refused on purpose.
			if broken && (!utf8.Valid(in) || bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) > maxNesting) {
				return
			}
			t.Fatalf("encoding/json finds %q valid: %v; faults: %+v", in, json.Valid(in), got.Faults)
		}
		lines := ParseLines(in)
		if len(lines.Readings) > bytes.Count(in, []byte("\n"))+1 {
			t.Fatalf("%d readings in %q", len(lines.Readings), in)
		}
		if broken || len(got.Faults) > 0 {
			return
		}
		var want []jsonReading
		if in = bytes.TrimSpace(in); in[0] != '[' {
			in = append(append([]byte("["), in...), ']')
		}
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatalf("encoding/json cannot read %q: %v", in, err)
		}
		if len(want) != len(got.Readings) {
			t.Fatalf("%d readings, encoding/json has %d", len(got.Readings), len(want))
		}
		for i, r := range got.Readings {
			for measure, value := range want[i].Values {
				decoded, wrong := registry.DecodeValue(value)
				if wrong != "" {
					t.Fatalf("%q: measure %s was taken, and is wrong: %s", in, measure, wrong)
				}
				want[i].Values[measure] = decoded
			}
			var id string
			if want[i].MessageID != nil {
				id = *want[i].MessageID
			}
			if r.Device != want[i].Device || r.Asset != want[i].Asset || r.MessageID != id || !cmp.Equal(r.Values, want[i].Values) && len(r.Values)+len(want[i].Values) > 0 {
				t.Fatalf("%q: got %+v, encoding/json has %+v", in, r, want[i])
			}
			if ms, ok := want[i].MeasuredAt.(float64); ok && math.Abs(ms) < 1<<53 && float64(r.MeasuredAt.UnixMilli()) != ms {
				t.Fatalf("%q: time %s", in, r.MeasuredAt)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var document bytes.Buffer
	var lines bytes.Buffer
	document.WriteByte('[')
	for i := range 100 {
		if i > 0 {
			document.WriteByte(',')
		}
		one := fmt.Sprintf(`{"device":"device-%d","measuredAt":%d,"values":{"temperature":%.2f,"humidity":%.1f}}`, i, 1700000000000+i, 20+float64(i)/7, 40+float64(i)/9)
		document.WriteString(one)
		lines.WriteString(one + "\n")
	}
	document.WriteByte(']')
	b.Run("array", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if s := ParseJSON(document.Bytes(), ""); len(s.Readings) != 100 || len(s.Faults) > 0 {
				b.Fatal(s.Faults)
			}
		}
		b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	})
	b.Run("lines", func(b *testing.B) {
		for b.Loop() {
			if s := ParseLines(lines.Bytes()); len(s.Readings) != 100 || len(s.Faults) > 0 {
				b.Fatal(s.Faults)
			}
		}
		b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got []jsonReading
			decoder := json.NewDecoder(bytes.NewReader(document.Bytes()))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&got); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	})
}
