package decode

import (
	"encoding/hex"
	"testing"

	"github.com/holon-registry/holon/registry"
)

// lpp maps a measure to a channel and a type.
func lpp(channel float64, name string) object { return object{"channel": channel, "type": name} }

func TestCayenne(t *testing.T) {
	numbers := func(measure string, of object) object {
		return object{"encoding": "hex", "measures": object{measure: of}}
	}
	part := func(of object, part string) object { of["part"] = part; return of }
	altitude := 10.0
	cel := func(v float64) registry.Quantity { return registry.Quantity{Value: v, Unit: "Cel"} }
	check(t, map[string]one{
		// Two temperatures, an acceleration and a place as the format's own
		// documentation has them.
		"temperature":       {decoder: "cayenne", options: numbers("temperature", lpp(3, "temperature")), device: "a", payload: "03 67 01 10 05 67 00 FF", want: []registry.Reading{reading("a", object{"temperature": cel(27.2)})}},
		"the other channel": {decoder: "cayenne", options: numbers("temperature", lpp(5, "temperature")), device: "a", payload: "03670110 056700FF", want: []registry.Reading{reading("a", object{"temperature": cel(25.5)})}},
		"below zero":        {decoder: "cayenne", options: numbers("temperature", lpp(1, "temperature")), device: "a", payload: "0167FFD7", want: []registry.Reading{reading("a", object{"temperature": cel(-4.1)})}},
		"acceleration":      {decoder: "cayenne", options: numbers("motion", lpp(6, "accelerometer")), device: "a", payload: "067104D2FB2E0000", want: []registry.Reading{reading("a", object{"motion": registry.Composite{"x": 1.234, "y": -1.234, "z": 0.0}})}},
		"place": {decoder: "cayenne", options: numbers("place", lpp(1, "gps")), device: "a", payload: "018806765FF2960A0003E8",
			want: []registry.Reading{reading("a", object{"place": registry.Location{Latitude: 42.3519, Longitude: -87.9094, Altitude: &altitude}})}},
		"one axis":       {decoder: "cayenne", options: numbers("count", part(lpp(6, "accelerometer"), "y")), device: "a", payload: "067104D2FB2E0000", want: []registry.Reading{reading("a", object{"count": -1.234})}},
		"digital input":  {decoder: "cayenne", options: numbers("open", lpp(1, "digital_input")), device: "a", payload: "010001", want: []registry.Reading{reading("a", object{"open": true})}},
		"digital output": {decoder: "cayenne", options: numbers("count", lpp(2, "digital_output")), device: "a", payload: "020164", want: []registry.Reading{reading("a", object{"count": 100.0})}},
		"analog input":   {decoder: "cayenne", options: numbers("count", lpp(1, "analog_input")), device: "a", payload: "0102FF9C", want: []registry.Reading{reading("a", object{"count": -1.0})}},
		"analog output":  {decoder: "cayenne", options: numbers("count", object{"channel": 1.0, "type": "analog_output", "scale": 100.0, "offset": 1.0}), device: "a", payload: "01030139", want: []registry.Reading{reading("a", object{"count": 314.0})}},
		"illuminance":    {decoder: "cayenne", options: numbers("count", lpp(1, "illuminance")), device: "a", payload: "0165FFFF", want: []registry.Reading{reading("a", object{"count": 65535.0})}},
		"presence":       {decoder: "cayenne", options: numbers("mode", object{"channel": 9.0, "type": "presence", "values": object{"0": "off", "1": "heat"}}), device: "a", payload: "096601", want: []registry.Reading{reading("a", object{"mode": "heat"})}},
		"humidity":       {decoder: "cayenne", options: numbers("humidity", lpp(0, "humidity")), device: "a", payload: "00685B", want: []registry.Reading{reading("a", object{"humidity": registry.Quantity{Value: 45.5, Unit: "%"}})}},
		"barometer":      {decoder: "cayenne", options: numbers("count", lpp(1, "barometer")), device: "a", payload: "01732794", want: []registry.Reading{reading("a", object{"count": 1013.2})}},
		"gyrometer":      {decoder: "cayenne", options: numbers("motion", lpp(1, "gyrometer")), device: "a", payload: "0186FF9C006400C8", want: []registry.Reading{reading("a", object{"motion": registry.Composite{"x": -1.0, "y": 1.0, "z": 2.0}})}},
		"bytes": {decoder: "cayenne", options: object{"measures": object{"temperature": lpp(1, "temperature"), "humidity": lpp(2, "humidity")}}, device: "a", payload: "\x01\x67\x00\xd7\x02\x68\x5b",
			want: []registry.Reading{reading("a", object{"temperature": cel(21.5), "humidity": registry.Quantity{Value: 45.5, Unit: "%"}})}},
		"base64":        {decoder: "cayenne", options: object{"encoding": "base64", "measures": object{"temperature": lpp(1, "temperature")}}, device: "a", payload: "AWcA1w==\n", want: []registry.Reading{reading("a", object{"temperature": cel(21.5)})}},
		"nothing of it": {decoder: "cayenne", options: object{"encoding": "hex", "skipEmpty": true, "measures": object{"temperature": lpp(1, "temperature")}}, device: "a", payload: "010001"},

		"nothing":       {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), device: "a", payload: "", wrong: "is empty"},
		"a channel":     {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), device: "a", payload: "01685B02", wrong: "byte 3: ends after a channel"},
		"unknown type":  {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), device: "a", payload: "01FA00", wrong: "byte 1: 250 is not a type"},
		"cut off":       {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), device: "a", payload: "016701", wrong: "byte 2: ends too soon: temperature takes 2 bytes"},
		"twice":         {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), device: "a", payload: "01685B016810", wrong: "byte 3: channel 1 has humidity twice"},
		"not hex":       {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), device: "a", payload: "0x", wrong: "is not hexadecimal"},
		"another thing": {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), device: "a", payload: "02685B", wrong: "none of the mapped values is there: channel 1 humidity"},
		"no device":     {decoder: "cayenne", options: numbers("count", lpp(1, "humidity")), payload: "01685B", wrong: "the payload names no device"},
	})
}

// TestCayenneAdditional reads the types that libraries have beyond the format's
// own, at the ends of what they hold.
func TestCayenneAdditional(t *testing.T) {
	number := func(name, payload string, want float64) one {
		return one{
			decoder: "cayenne", options: object{"encoding": "hex", "measures": object{"count": lpp(1, name)}}, device: "a", payload: payload,
			want: []registry.Reading{reading("a", object{"count": want})},
		}
	}
	check(t, map[string]one{
		"generic sensor": number("generic_sensor", "0164 FFFFFFFF", 4294967295),
		"voltage":        number("voltage", "0174 FFFF", 655.35),
		"current":        number("current", "0175 9C40", 40),
		"frequency":      number("frequency", "0176 33BCA100", 868000000),
		"percentage":     number("percentage", "0178 64", 100),
		"altitude":       number("altitude", "0179 FFFB", -5),
		"concentration":  number("concentration", "017D 0320", 800),
		"power":          number("power", "0180 8000", 32768),
		"distance":       number("distance", "0182 000004D3", 1.235),
		"energy":         number("energy", "0183 80000000", 2147483.648),
		"direction":      number("direction", "0184 0167", 359),
		"unixtime":       number("unixtime", "0185 65920080", 1704067200),
		"switch":         number("switch", "018E 01", 1),
		"colour": {decoder: "cayenne", options: object{"encoding": "hex", "measures": object{"count": object{"channel": 1.0, "type": "colour", "part": "green"}}}, device: "a", payload: "0187 10FF20",
			want: []registry.Reading{reading("a", object{"count": 255.0})}},
		"one after the other": number("percentage", "0285FFFFFFFF 03870000FF 017832", 50),
		"cut off":             {decoder: "cayenne", options: object{"encoding": "hex", "measures": object{"count": lpp(1, "energy")}}, device: "a", payload: "01830000", wrong: "byte 2: ends too soon: energy takes 4 bytes"},
	})
}

func FuzzCayenne(f *testing.F) {
	for _, seed := range []string{"03670110056700FF", "067104D2FB2E0000", "018806765FF2960A0003E8"} {
		raw, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	d, violations := New(registry.TemplateDecoder{Name: "cayenne", Options: object{"measures": object{
		"temperature": lpp(3, "temperature"), "place": lpp(1, "gps"), "motion": lpp(6, "accelerometer"), "open": lpp(1, "digital_input"),
	}}}, station)
	if len(violations) > 0 {
		f.Fatal(violations)
	}
	f.Fuzz(func(t *testing.T, payload string) { holds(t, d, payload) })
}

// holds decodes a payload twice: without a panic, and with the same outcome.
func holds(t *testing.T, d Decoder, payload string) {
	t.Helper()
	p := Payload{Content: []byte(payload), ReceivedAt: at, Device: "a"}
	first, err := d.Decode(t.Context(), p)
	second, again := d.Decode(t.Context(), p)
	if (err == nil) != (again == nil) || len(first) != len(second) {
		t.Errorf("%q is decoded to %d readings (%v), then to %d (%v)", payload, len(first), err, len(second), again)
	}
	for _, r := range first {
		if r.Device != "a" || len(r.Values) == 0 {
			t.Errorf("%q gives %+v", payload, r)
		}
	}
}
