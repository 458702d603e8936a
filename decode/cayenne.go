package decode

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// cayenneType is a type of data of Cayenne LPP: a channel, the number of the
// type, and then its bytes, the high ones first.
type cayenneType struct {
	name string
	size int
	// step is what the last bit of a number counts, signed whether numbers can be
	// below zero.
	step   float64
	signed bool
	// parts are those of a type with several numbers of the same size.
	parts []cayennePart
	unit  string
}

// cayennePart is one number of several.
type cayennePart struct {
	name string
	step float64
	unit string
}

// axes are the parts of what has three directions.
func axes(step float64, unit string) []cayennePart {
	return []cayennePart{{"x", step, unit}, {"y", step, unit}, {"z", step, unit}}
}

// cayenneTypes are the types of the format, by their numbers, and the extensions
// of its widely used libraries, which their documentation calls additional types.
// The numbers are those of the IPSO objects less 3200.
var cayenneTypes = map[byte]*cayenneType{
	0:   {name: "digital_input", size: 1, step: 1},
	1:   {name: "digital_output", size: 1, step: 1},
	2:   {name: "analog_input", size: 2, step: 0.01, signed: true},
	3:   {name: "analog_output", size: 2, step: 0.01, signed: true},
	100: {name: "generic_sensor", size: 4, step: 1},
	101: {name: "illuminance", size: 2, step: 1, unit: "lx"},
	102: {name: "presence", size: 1, step: 1},
	103: {name: "temperature", size: 2, step: 0.1, signed: true, unit: "Cel"},
	104: {name: "humidity", size: 1, step: 0.5, unit: "%"},
	113: {name: "accelerometer", size: 6, signed: true, parts: axes(0.001, "[g]")},
	115: {name: "barometer", size: 2, step: 0.1, unit: "hPa"},
	116: {name: "voltage", size: 2, step: 0.01, unit: "V"},
	117: {name: "current", size: 2, step: 0.001, unit: "A"},
	118: {name: "frequency", size: 4, step: 1, unit: "Hz"},
	120: {name: "percentage", size: 1, step: 1, unit: "%"},
	121: {name: "altitude", size: 2, step: 1, signed: true, unit: "m"},
	125: {name: "concentration", size: 2, step: 1, unit: "[ppm]"},
	128: {name: "power", size: 2, step: 1, unit: "W"},
	130: {name: "distance", size: 4, step: 0.001, unit: "m"},
	131: {name: "energy", size: 4, step: 0.001, unit: "kW.h"},
	132: {name: "direction", size: 2, step: 1, unit: "deg"},
	133: {name: "unixtime", size: 4, step: 1, unit: "s"},
	134: {name: "gyrometer", size: 6, signed: true, parts: axes(0.01, "deg/s")},
	135: {name: "colour", size: 3, parts: []cayennePart{{"red", 1, ""}, {"green", 1, ""}, {"blue", 1, ""}}},
	136: {name: "gps", size: 9, signed: true, parts: []cayennePart{{"latitude", 0.0001, "deg"}, {"longitude", 0.0001, "deg"}, {"altitude", 0.01, "m"}}},
	142: {name: "switch", size: 1, step: 1},
}

// cayenneKey says which data of a payload is meant.
type cayenneKey struct {
	channel int
	of      *cayenneType
	// part is the number of a part, -1 for the whole.
	part int
}

// cayenneDecoder reads Cayenne LPP.
type cayenneDecoder struct {
	decode    func([]byte) ([]byte, *Error)
	measures  []mapping
	skipEmpty bool
}

func newCayenne(o *options, m *measures) Decoder {
	d := &cayenneDecoder{skipEmpty: o.flag("skipEmpty")}
	switch o.one("encoding", "binary", "hex", "base64") {
	case "hex":
		d.decode = fromHex
	case "base64":
		d.decode = fromBase64
	default:
		d.decode = func(b []byte) ([]byte, *Error) { return b, nil }
	}
	d.measures = m.mappings(o, "type", cayennePlace, parseNumber)
	for i := range d.measures {
		d.fit(o, m, &d.measures[i])
	}
	return d
}

// fit gives a mapping the unit of the format where the measure has one, and
// refuses what is no number where the measure takes one.
func (d *cayenneDecoder) fit(o *options, m *measures, of *mapping) {
	key, ok := of.value.place.(cayenneKey)
	if !ok {
		return
	}
	several := key.of.parts != nil && key.part < 0
	if several && of.value.of != "" && of.value.of != registry.ValueLocation && of.value.of != registry.ValueComposite {
		o.refuse("measures."+of.measure+".part", "required", "%s is several numbers: say which with the option part", key.of.name)
	}
	if several || of.unit != "" || m.template == nil || of.value.scale != nil || of.value.offset != nil {
		return
	}
	said := key.of.unit
	if key.part >= 0 {
		said = key.of.parts[key.part].unit
	}
	if declared := m.template.Declared(of.measure); said != "" && declared != nil && declared.Unit != "" {
		if _, err := unit.Convert(said, declared.Unit); err == nil {
			of.unit = said
		}
	}
}

// cayennePlace reads the options channel, type and part.
func cayennePlace(o *options) (any, string) {
	channel := o.integer("channel", 0, 255)
	name, part := o.text("type"), o.text("part")
	of := cayenneNamed(name)
	if channel == nil && o.values["channel"] == nil {
		o.refuse("channel", "required", "is the number of the channel")
	}
	if of == nil && name != "" {
		o.refuse("type", "enum", "is one of %s", strings.Join(cayenneNames(), ", "))
	}
	if channel == nil || of == nil {
		return nil, ""
	}
	key := cayenneKey{channel: *channel, of: of, part: -1}
	label := "channel " + strconv.Itoa(*channel) + " " + name
	if part == "" {
		return key, label
	}
	key.part = slices.IndexFunc(key.of.parts, func(p cayennePart) bool { return p.name == part })
	if key.part < 0 {
		o.refuse("part", "enum", "is x, y or z of accelerometer and gyrometer, latitude, longitude or altitude of gps, or red, green or blue of colour")
		return nil, ""
	}
	return key, label + " " + part
}

func cayenneNamed(name string) *cayenneType {
	for _, t := range cayenneTypes {
		if t.name == name {
			return t
		}
	}
	return nil
}

func cayenneNames() []string {
	var out []string
	for _, number := range slices.Sorted(maps.Keys(cayenneTypes)) {
		out = append(out, cayenneTypes[number].name)
	}
	return out
}

// Decode implements Decoder.
func (d *cayenneDecoder) Decode(ctx context.Context, p Payload) ([]registry.Reading, error) {
	content, err := d.decode(p.Content)
	if err != nil {
		return nil, err
	}
	found, err := readCayenne(content)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var r registry.Reading
	left := budget(maxWeight)
	if r.Device, err = deviceOf("", p); err != nil {
		return nil, err
	}
	r.Values, err = values(d.measures, func(place any) (any, string, bool) {
		key := place.(cayenneKey)
		numbers, ok := found[cayenneKey{key.channel, key.of, -1}]
		if !ok {
			return nil, "", false
		}
		return key.value(numbers), "", true
	}, &left)
	if err == nil {
		err = emptyFrame(r.Values, d.measures, d.skipEmpty)
	}
	if err != nil {
		return nil, err
	}
	if len(r.Values) == 0 {
		return nil, nil
	}
	return []registry.Reading{r}, nil
}

// readCayenne reads all data of a payload, by channel and type.
func readCayenne(content []byte) (map[cayenneKey][]float64, *Error) {
	if len(content) == 0 {
		return nil, wrong("", "is empty")
	}
	found := map[cayenneKey][]float64{}
	for at := 0; at < len(content); {
		if at+2 > len(content) {
			return nil, wrong("byte "+strconv.Itoa(at), "ends after a channel: a type is due")
		}
		of, known := cayenneTypes[content[at+1]]
		if !known {
			return nil, wrong("byte "+strconv.Itoa(at+1), "%d is not a type of Cayenne LPP", content[at+1])
		}
		end := at + 2 + of.size
		if end > len(content) {
			return nil, wrong("byte "+strconv.Itoa(at+2), "ends too soon: %s takes %d bytes", of.name, of.size)
		}
		key := cayenneKey{int(content[at]), of, -1}
		if _, twice := found[key]; twice {
			return nil, wrong("byte "+strconv.Itoa(at), "channel %d has %s twice", key.channel, of.name)
		}
		found[key] = of.numbers(content[at+2 : end])
		at = end
	}
	return found, nil
}

// numbers reads the numbers of a type.
func (t *cayenneType) numbers(b []byte) []float64 {
	if t.parts == nil {
		return []float64{scaled(b, t.signed, t.step)}
	}
	out := make([]float64, len(t.parts))
	size := t.size / len(t.parts)
	for i, part := range t.parts {
		out[i] = scaled(b[i*size:(i+1)*size], t.signed, part.step)
	}
	return out
}

// scaled reads a number of one to four bytes.
func scaled(b []byte, signed bool, step float64) float64 {
	var wide [4]byte
	copy(wide[4-len(b):], b)
	n := int64(binary.BigEndian.Uint32(wide[:]))
	if bits := 8 * len(b); signed && n >= 1<<(bits-1) {
		n -= 1 << bits
	}
	return tidy(float64(n) * step)
}

// value is what a key stands for: a number, a place or an object.
func (k cayenneKey) value(numbers []float64) any {
	switch {
	case k.part >= 0:
		return numbers[k.part]
	case k.of.parts == nil:
		return numbers[0]
	case k.of.name == "gps":
		return registry.Location{Latitude: numbers[0], Longitude: numbers[1], Altitude: &numbers[2]}
	}
	out := registry.Composite{}
	for i, part := range k.of.parts {
		out[part.name] = numbers[i]
	}
	return out
}

func fromHex(b []byte) ([]byte, *Error) {
	text := strings.Map(func(c rune) rune {
		if strings.ContainsRune(" \t\r\n", c) {
			return -1
		}
		return c
	}, string(b))
	out, err := hex.DecodeString(text)
	if err != nil {
		return nil, wrong("", "is not hexadecimal")
	}
	return out, nil
}

func fromBase64(b []byte) ([]byte, *Error) {
	text := strings.TrimRight(strings.TrimSpace(string(b)), "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	out, err := encoding.DecodeString(text)
	if err != nil {
		return nil, wrong("", "is not base64")
	}
	return out, nil
}
