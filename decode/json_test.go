package decode

import (
	"strings"
	"testing"

	"github.com/holon-registry/holon/registry"
)

func TestJSON(t *testing.T) {
	network := object{
		"device": "end_device.id", "time": object{"path": "received_at", "format": "rfc3339"},
		"measures": object{
			"temperature": object{"path": "uplink.decoded.temp", "scale": 0.1, "offset": -40.0}, "humidity": "uplink.decoded.hum",
			"mode":  object{"path": "uplink.decoded.mode", "values": object{"0": "off", "1": "heat"}},
			"place": object{"fields": object{"latitude": "uplink.rx[0].lat", "longitude": "uplink.rx[0].lon"}},
		},
	}
	frames := object{"frames": "data.rows", "device": "$.gateway", "time": object{"path": "t", "format": "unixMilli"}, "measures": object{"count": "n", "open": "door", "firmware": object{"path": "$.data.version"}}}
	check(t, map[string]one{
		"a network's message": {decoder: "json", options: network,
			payload: `{"end_device": {"id": "probe-1"}, "received_at": "2026-03-01T08:00:00Z", "uplink": {"decoded": {"temp": 615, "hum": "45.5", "mode": 1}, "rx": [{"lat": 52.5, "lon": 13.4}]}}`,
			want: []registry.Reading{timed("probe-1", "2026-03-01T08:00:00Z", object{
				"temperature": 21.5, "humidity": 45.5, "mode": "heat", "place": registry.Location{Latitude: 52.5, Longitude: 13.4},
			})}},
		"what is not there is left out": {decoder: "json", options: network, device: "PROBE-1",
			payload: `{"end_device": {"id": "probe-1"}, "received_at": "2026-03-01T08:00:00Z", "uplink": {"decoded": {"hum": 40, "temp": null}}}`,
			want:    []registry.Reading{timed("PROBE-1", "2026-03-01T08:00:00Z", object{"humidity": 40.0})}},
		"frames": {decoder: "json", options: frames,
			payload: `{"gateway": 7, "data": {"version": 1.10, "rows": [{"t": 1772355600000, "n": 1, "door": 1}, {"t": 1772355660000, "n": 2, "door": false}]}}`,
			want: []registry.Reading{timed("7", "2026-03-01T09:00:00Z", object{"count": 1.0, "open": true, "firmware": "1.10"}),
				timed("7", "2026-03-01T09:01:00Z", object{"count": 2.0, "open": false, "firmware": "1.10"})}},
		"an array is one of frames": {decoder: "json", options: object{"measures": object{"count": "n"}}, device: "a", payload: `[{"n": 1}, {"n": 2}]`,
			want: []registry.Reading{reading("a", object{"count": 1.0}), reading("a", object{"count": 2.0})}},
		"a document a line": {decoder: "json", options: object{"measures": object{"count": "n"}, "device": "d"}, payload: "{\"d\": \"a\", \"n\": 1}\n{\"d\": \"b\", \"n\": 2}\n",
			want: []registry.Reading{reading("a", object{"count": 1.0}), reading("b", object{"count": 2.0})}},
		"objects": {decoder: "json", options: object{"measures": object{"place": "where", "motion": "acc"}}, device: "a",
			payload: `{"where": {"type": "Point", "coordinates": [13.4, 52.5]}, "acc": {"x": 1, "y": -2.5}}`,
			want:    []registry.Reading{reading("a", object{"place": registry.Location{Latitude: 52.5, Longitude: 13.4}, "motion": registry.Composite{"x": 1.0, "y": -2.5}})}},
		"a unit": {decoder: "json", options: object{"measures": object{"temperature": object{"path": "f", "unit": "degF"}}}, device: "a", payload: `{"f": 70}`,
			want: []registry.Reading{reading("a", object{"temperature": registry.Quantity{Value: 70.0, Unit: "degF"}})}},
		"keys with dots": {decoder: "json", options: object{"measures": object{"count": `a\.b.c[-1]`}}, device: "a", payload: `{"a.b": {"c": [1, 2, 3]}}`,
			want: []registry.Reading{reading("a", object{"count": 3.0})}},
		"no template": {decoder: "json", open: true, options: object{"measures": object{"x": "x", "y": "y", "z": "z"}}, device: "a", payload: `{"x": 1, "y": "2", "z": true}`,
			want: []registry.Reading{reading("a", object{"x": 1.0, "y": "2", "z": true})}},
		"frames are passed over": {decoder: "json", options: object{"measures": object{"count": "n"}, "skipEmpty": true}, device: "a", payload: `[{"m": 1}, {"n": 2}]`,
			want: []registry.Reading{reading("a", object{"count": 2.0})}},
		"nothing but what it says of its device": {decoder: "json", open: true, options: object{"measures": object{"count": "n"}, "attributes": object{"fw": "fw"}, "skipEmpty": true}, device: "a", payload: `[{"m": 1}, {"fw": "9.9"}]`,
			want: []registry.Reading{{Device: "a", Values: object{}, Attributes: registry.Attributes{"fw": "9.9"}}}},
		"neither a value nor what it says of its device": {decoder: "json", open: true, options: object{"measures": object{"count": "n"}, "attributes": object{"fw": "fw"}}, device: "a", payload: `[{"fw": "9.9"}, {"m": 1}]`,
			wrong: "[1]: none of the mapped values is there: n"},
		"nothing but those passed over": {decoder: "json", options: object{"measures": object{"count": "n"}, "skipEmpty": true}, device: "a", payload: `[{"m": 1}]`},
		"a device that is composed in another way": {decoder: "json", options: object{"measures": object{"count": "n"}, "device": "d"}, device: "k\u00fchler-1", payload: "{\"d\": \"Ku\u0308hler-1\", \"n\": 1}",
			want: []registry.Reading{reading("k\u00fchler-1", object{"count": 1.0})}},

		"no frame": {decoder: "json", options: frames, payload: `{"gateway": 7, "data": {"rows": []}}`, wrong: "holds no reading"},
		"a text in each frame": {decoder: "json", options: frames, wrong: "data.rows[1020]: the readings of a payload weigh at most 8 MiB",
			payload: `{"gateway": 7, "data": {"version": "` + strings.Repeat("x", 8<<10) + `", "rows": [{"t": 1, "n": 1}` + strings.Repeat(`, {"t": 1, "n": 1}`, 1999) + `]}}`},
		"not JSON":        {decoder: "json", options: frames, payload: `{"gateway": 7,`, wrong: "byte 14: is not JSON"},
		"nothing":         {decoder: "json", options: frames, payload: ``, wrong: "byte 0: is not JSON: it ends too soon"},
		"no frames":       {decoder: "json", options: frames, payload: `{"gateway": 7}`, wrong: "data.rows: is not there"},
		"frames no list":  {decoder: "json", options: frames, payload: `{"data": {"rows": {}}}`, wrong: "data.rows: is no list"},
		"no device":       {decoder: "json", options: frames, payload: `{"data": {"rows": [{"t": 1, "n": 2}]}}`, wrong: "data.rows[0].$.gateway: names no device"},
		"another device":  {decoder: "json", options: frames, device: "8", payload: `{"gateway": 7, "data": {"rows": [{"t": 1, "n": 2}]}}`, wrong: `data.rows[0].$.gateway: names device "7", but was sent for "8"`},
		"no time":         {decoder: "json", options: frames, payload: `{"gateway": 7, "data": {"rows": [{"n": 2}]}}`, wrong: "data.rows[0].t: is not there"},
		"no such time":    {decoder: "json", options: network, payload: `{"end_device": {"id": "a"}, "received_at": "yesterday"}`, wrong: `received_at: "yesterday" is not a time such as`},
		"not a number":    {decoder: "json", options: frames, payload: `{"gateway": 7, "data": {"rows": [{"t": 1, "n": 1}, {"t": 2, "n": "x"}]}}`, wrong: `data.rows[1].n: "x" is not a number`},
		"not mapped":      {decoder: "json", options: network, payload: `{"end_device": {"id": "a"}, "received_at": "2026-03-01T08:00:00Z", "uplink": {"decoded": {"mode": 3}}}`, wrong: `uplink.decoded.mode: "3" is not among the values`},
		"no values":       {decoder: "json", options: object{"measures": object{"count": "n"}}, device: "a", payload: `{"m": 1}`, wrong: "none of the mapped values is there: n"},
		"no device named": {decoder: "json", options: object{"measures": object{"count": "n"}}, payload: `{"n": 1}`, wrong: "the payload names no device"},
		"too large":       {decoder: "json", options: object{"measures": object{"count": "n"}}, device: "a", payload: `{"n": 1e999}`, wrong: `n: `},
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("a.b[0]", `{"a": {"b": [1]}}`)
	f.Add("$.n", `[{"n": "2"}, {"n": true}]`)
	f.Add(`x\.y`, `{"x.y": {"latitude": 1, "longitude": 2}}`)
	f.Fuzz(func(t *testing.T, place, payload string) {
		d, violations := New(registry.TemplateDecoder{Name: "json", Options: object{
			"frames": place, "device": place, "time": object{"path": place, "format": "unix"},
			"measures": object{"temperature": place, "open": place, "firmware": place, "place": place, "motion": place, "mode": object{"path": place, "values": object{"1": "heat"}}},
		}}, station)
		if len(violations) > 0 {
			return
		}
		holds(t, d, payload)
	})
}
