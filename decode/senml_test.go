package decode

import (
	"strings"
	"testing"

	"github.com/holon-registry/holon/registry"
)

// The packs are those of RFC 8428, section 5.
func TestSenML(t *testing.T) {
	const oneWire = "urn:dev:ow:10e2073a01080063"
	power := object{"devicePrefix": "urn:dev:ow:", "measures": object{"count": "voltage", "humidity": object{"name": "current", "unit": "%"}}}
	cel := func(v float64) registry.Quantity { return registry.Quantity{Value: v, Unit: "Cel"} }
	percent := func(v float64) registry.Quantity { return registry.Quantity{Value: v, Unit: "%"} }
	rh := func(v float64) registry.Quantity { return registry.Quantity{Value: v, Unit: "%RH"} }
	check(t, map[string]one{
		"single": {decoder: "senml", options: object{"measures": object{"temperature": oneWire}}, device: "probe",
			payload: `[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]`, want: []registry.Reading{reading("probe", object{"temperature": cel(23.1)})}},
		"two values": {decoder: "senml", options: power,
			payload: `[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]`,
			want:    []registry.Reading{reading("10e2073a01080063", object{"count": 120.1, "humidity": percent(1.2)})}},
		"base time and unit": {decoder: "senml", options: power,
			payload: `[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"n":"current","v":1.7}]`,
			want: []registry.Reading{timed("10e2073a0108006", "2010-06-08T18:01:16.001Z", object{"count": 120.1, "humidity": percent(1.7)}),
				timed("10e2073a0108006", "2010-06-08T18:01:11.001Z", object{"humidity": percent(1.2)}),
				timed("10e2073a0108006", "2010-06-08T18:01:12.001Z", object{"humidity": percent(1.3)})}},
		"seconds from now": {decoder: "senml", options: object{"measures": object{"humidity": "10e2073a01080063"}}, device: "probe",
			payload: `[{"bn":"urn:dev:ow:10e2073a01080063","bu":"%RH","v":21.2},{"t":-10,"v":21.3},{"bt":-20,"t":-0.5,"v":21.4}]`,
			want: []registry.Reading{reading("probe", object{"humidity": rh(21.2)}), timed("probe", "2026-03-01T11:59:50Z", object{"humidity": rh(21.3)}),
				timed("probe", "2026-03-01T11:59:39.5Z", object{"humidity": rh(21.4)})}},
		"places": {decoder: "senml", device: "probe",
			options: object{"measures": object{"humidity": object{"name": oneWire, "recordUnit": "%RH"}, "place": object{"fields": object{
				"longitude": object{"name": oneWire, "recordUnit": "lon"}, "latitude": object{"name": oneWire, "recordUnit": "lat"}}}}},
			payload: `[{"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,"bu":"%RH","v":20},{"u":"lon","v":24.30621},{"u":"lat","v":60.07965},{"t":60,"v":20.3},{"u":"lon","t":60,"v":24.30622},{"u":"lat","t":60,"v":60.07965}]`,
			want: []registry.Reading{timed("probe", "2011-10-31T13:24:24Z", object{"humidity": rh(20), "place": registry.Location{Latitude: 60.07965, Longitude: 24.30621}}),
				timed("probe", "2011-10-31T13:25:24Z", object{"humidity": rh(20.3), "place": registry.Location{Latitude: 60.07965, Longitude: 24.30622}})}},
		"types": {decoder: "senml", device: "probe", options: object{"measures": object{"temperature": "temp", "firmware": "label", "open": "open"}},
			payload: `[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"label","vs":"Machine Room"},{"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]`,
			want:    []registry.Reading{reading("probe", object{"temperature": cel(23.1), "firmware": "Machine Room", "open": false})}},
		"a collection": {decoder: "senml", options: object{"measures": object{"temperature": "temperature", "humidity": "humidity"}},
			payload: `[{"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":25.2},{"n":"humidity","u":"%RH","v":30},{"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},{"n":"humidity","u":"%RH","v":67}]`,
			want: []registry.Reading{timed("2001:db8::2", "2011-10-31T16:27:09Z", object{"temperature": cel(25.2), "humidity": rh(30)}),
				timed("2001:db8::1", "2011-10-31T16:27:09Z", object{"temperature": cel(12.3), "humidity": rh(67)})}},
		"the device itself": {decoder: "senml", options: power, device: "Pump-1",
			payload: `[{"n":"voltage","v":120},{"bn":"urn:dev:ow:pump-1:","n":"current","v":1}]`, want: []registry.Reading{reading("Pump-1", object{"count": 120.0, "humidity": percent(1)})}},
		"base values and sums": {decoder: "senml", device: "x", options: object{"measures": object{"temperature": object{"name": "t"}, "count": object{"name": "t", "sum": true}}},
			payload: `[{"bn":"x/","bv":20,"bs":100,"n":"t","u":"Cel","v":0.1,"s":5}]`, want: []registry.Reading{reading("x", object{"temperature": cel(20.1), "count": 105.0})}},
		"a record of bases": {decoder: "senml", device: "probe", options: object{"measures": object{"temperature": "temp"}},
			payload: `[{"bn":"urn:dev:ow:10e2073a01080063:"},{"n":"temp","u":"Cel","v":23.1}]`, want: []registry.Reading{reading("probe", object{"temperature": cel(23.1)})}},
		"coulombs are no degrees": {decoder: "senml", device: "probe", options: object{"measures": object{"temperature": "q"}},
			payload: `[{"n":"q","u":"C","v":1}]`, want: []registry.Reading{reading("probe", object{"temperature": registry.Quantity{Value: 1.0, Unit: "A.s"}})}},

		"a long name":        {decoder: "senml", options: power, payload: `[{"bn":"` + strings.Repeat("x", 1018) + `"},{"n":"voltage","v":1}]`, wrong: "[1].n: makes a name of more than 1024 characters"},
		"another unit":       {decoder: "senml", options: object{"measures": object{"temperature": object{"name": "temp", "recordUnit": "K"}}}, device: "a", payload: `[{"n":"temp","u":"Cel","v":1}]`, wrong: "holds no reading"},
		"no array":           {decoder: "senml", options: power, payload: `{"n":"voltage","v":1}`, wrong: "is no array of SenML records"},
		"no record":          {decoder: "senml", options: power, payload: `[1]`, wrong: "[0]: is no record"},
		"wrong type":         {decoder: "senml", options: power, payload: `[{"n":"voltage","v":true}]`, wrong: "[0]: has a field of the wrong type"},
		"newer version":      {decoder: "senml", options: power, payload: `[{"bver":11,"n":"voltage","v":1}]`, wrong: "[0].bver: is a version"},
		"must be understood": {decoder: "senml", options: power, payload: `[{"n":"voltage","v":1,"frob_":1}]`, wrong: "[0].frob_: has to be understood"},
		"two values at once": {decoder: "senml", options: power, payload: `[{"n":"voltage","v":1,"vs":"x"}]`, wrong: "[0]: has more than one value"},
		"no value":           {decoder: "senml", options: power, payload: `[{"n":"voltage"}]`, wrong: "[0]: has no value"},
		"a wrong name":       {decoder: "senml", options: power, payload: `[{"n":"/voltage","v":1}]`, wrong: "[0].n: makes no name"},
		"twice":              {decoder: "senml", options: power, device: "a", payload: `[{"n":"voltage","v":1},{"n":"voltage","v":2}]`, wrong: `[1].n: "voltage" stands twice`},
		"no device":          {decoder: "senml", options: power, payload: `[{"n":"voltage","v":1}]`, wrong: `[0].n: "voltage" names no device`},
		"another device":     {decoder: "senml", options: power, device: "a", payload: `[{"n":"voltage","v":1},{"bn":"b/","n":"voltage","v":2}]`, wrong: `[1].n: names device "b", but was sent for "a"`},
		"another one by urn": {decoder: "senml", options: power, device: "a", payload: `[{"bn":"urn:dev:ow:b:","n":"voltage","v":1}]`, wrong: `[0].n: names device "b", but was sent for "a"`},
		"another urn":        {decoder: "senml", options: power, device: "urn:dev:mac:1", payload: `[{"bn":"urn:dev:mac:2:","n":"voltage","v":1}]`, wrong: `[0].n: names device "urn:dev:mac:2", but was sent for "urn:dev:mac:1"`},
		"two urns":           {decoder: "senml", options: power, device: "a", payload: `[{"bn":"urn:dev:mac:1:","n":"voltage","v":1},{"bn":"urn:dev:mac:2:","n":"voltage","v":1}]`, wrong: `[1].n: names device "urn:dev:mac:2", another record "urn:dev:mac:1"`},
		"nothing mapped":     {decoder: "senml", options: power, device: "a", payload: `[{"n":"overvoltage","v":1}]`, wrong: "none of the mapped values is there: voltage, current"},
		"far away":           {decoder: "senml", options: power, device: "a", payload: `[{"n":"voltage","v":1,"t":1e300}]`, wrong: "[0].t: lies too far away"},
	})
}

func FuzzSenML(f *testing.F) {
	f.Add(`[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"open","vb":false}]`)
	f.Add(`[{"bt":-1,"bv":1,"bs":1},{"n":"temp","s":2,"t":1e9}]`)
	d, violations := New(registry.TemplateDecoder{Name: "senml", Options: object{"measures": object{"temperature": "temp", "open": "open", "count": object{"name": "temp", "sum": true}}}}, station)
	if len(violations) > 0 {
		f.Fatal(violations)
	}
	f.Fuzz(func(t *testing.T, payload string) { holds(t, d, payload) })
}
