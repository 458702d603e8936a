package decode

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// senmlDecoder reads packs of SenML records in JSON (RFC 8428). The end of a
// record's name says which measure it is, what stands before names the device.
type senmlDecoder struct {
	devicePrefix string
	measures     []mapping
	names        map[string]bool
}

// senmlKey is what is mapped: the value of a name, or its sum.
type senmlKey struct {
	name string
	sum  bool
	// recordUnit tells records of one name apart; empty takes the first.
	recordUnit string
	// units says that the measure has a unit, so that those of records count.
	units bool
}

func newSenML(o *options, m *measures) Decoder {
	d := &senmlDecoder{devicePrefix: o.text("devicePrefix"), names: map[string]bool{}}
	d.measures = m.mappings(o, "name", func(o *options) (any, string) {
		name := o.text("name")
		d.names[name] = true
		return senmlKey{name: name, sum: o.flag("sum"), recordUnit: o.text("recordUnit")}, name
	}, parseNumber)
	for i := range d.measures {
		if key, ok := d.measures[i].value.place.(senmlKey); ok && m.template != nil {
			declared := m.template.Declared(d.measures[i].measure)
			key.units = declared != nil && declared.Unit != ""
			d.measures[i].value.place = key
		}
	}
	return d
}

// senmlRecord is a record as it is sent.
type senmlRecord struct {
	BaseName    *string      `json:"bn"`
	BaseTime    *json.Number `json:"bt"`
	BaseUnit    *string      `json:"bu"`
	BaseValue   *json.Number `json:"bv"`
	BaseSum     *json.Number `json:"bs"`
	BaseVersion *json.Number `json:"bver"`
	Name        *string      `json:"n"`
	Unit        *string      `json:"u"`
	Value       *json.Number `json:"v"`
	Text        *string      `json:"vs"`
	Flag        *bool        `json:"vb"`
	Data        *string      `json:"vd"`
	Sum         *json.Number `json:"s"`
	Time        *json.Number `json:"t"`
	UpdateTime  *json.Number `json:"ut"`
}

// senmlBase is what the records so far say of those that follow.
type senmlBase struct {
	name, unit       string
	time, value, sum float64
	hasSum           bool
	version          float64
}

// resolved is a record by itself.
type resolved struct {
	name, unit string
	at         time.Time
	value, sum any
}

// Decode implements Decoder.
func (d *senmlDecoder) Decode(ctx context.Context, p Payload) ([]registry.Reading, error) {
	records, err := resolveSenML(ctx, p.Content, p.ReceivedAt)
	if err != nil {
		return nil, err
	}
	type key struct {
		device string
		at     time.Time
	}
	sender := senmlSender{payload: p}
	var order []key
	frames := map[key]map[string][]resolved{}
	for i, r := range records {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name, device, mapped := d.split(r.name)
		if !mapped {
			continue
		}
		if device == "" && p.Device == "" {
			return nil, wrong("["+strconv.Itoa(i)+"].n", "%s names no device before %s", strconv.Quote(shortened(r.name)), name)
		}
		of, wrongDevice := sender.of(device)
		if wrongDevice != nil {
			wrongDevice.Place = "[" + strconv.Itoa(i) + "].n"
			return nil, wrongDevice
		}
		k := key{of, r.at}
		if frames[k] == nil {
			frames[k] = map[string][]resolved{}
			order = append(order, k)
		}
		if slices.ContainsFunc(frames[k][name], func(other resolved) bool { return other.unit == r.unit }) {
			return nil, wrong("["+strconv.Itoa(i)+"].n", "%s stands twice for one time", strconv.Quote(shortened(r.name)))
		}
		frames[k][name] = append(frames[k][name], r)
	}
	if len(order) == 0 {
		return nil, emptyFrame(nil, d.measures, false)
	}
	if len(order) > maxReadings {
		return nil, tooMany("")
	}
	out := make([]registry.Reading, 0, len(order))
	left := budget(maxWeight)
	for _, k := range order {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		made, err := values(d.measures, findIn(frames[k]), &left)
		if err != nil {
			return nil, err
		}
		if len(made) > 0 {
			out = append(out, registry.Reading{Device: k.device, MeasuredAt: k.at, Values: made})
		}
	}
	return holding(out, false)
}

// senmlSender says which device the records of a payload are of.
type senmlSender struct {
	payload Payload
	// hardware is the name that records have by the hardware which sent them.
	hardware string
}

// of is the device of a record by what its name says. In a payload that was sent
// for one device, an urn is how its hardware calls itself, unless the device is
// known by one; there can be but one such name.
func (s *senmlSender) of(named string) (string, *Error) {
	if s.payload.Device == "" || !isURN(named) || isURN(s.payload.Device) {
		return deviceOf(named, s.payload)
	}
	if s.hardware != "" && s.hardware != named {
		return "", wrong("", "names device %s, another record %s, but they were sent for %s", strconv.Quote(shortened(named)), strconv.Quote(shortened(s.hardware)), strconv.Quote(shortened(s.payload.Device)))
	}
	s.hardware = named
	return s.payload.Device, nil
}

func isURN(name string) bool { return strings.HasPrefix(strings.ToLower(name), "urn:") }

// findIn finds values in the records of one device and time.
func findIn(frame map[string][]resolved) finder {
	return func(place any) (any, string, bool) {
		key := place.(senmlKey)
		records := frame[key.name]
		i := slices.IndexFunc(records, func(r resolved) bool { return key.recordUnit == "" || r.unit == key.recordUnit })
		if i < 0 {
			return nil, "", false
		}
		r := records[i]
		found := r.value
		if key.sum {
			found = r.sum
		}
		unit := ""
		if key.units {
			unit = unitOfSenML(r.unit)
		}
		return found, unit, found != nil
	}
}

// split parts a name into what stands for the device and the mapped name that it
// ends with, the longest one.
func (d *senmlDecoder) split(full string) (name, device string, mapped bool) {
	for at := 0; at < len(full); at++ {
		if at > 0 && !strings.ContainsRune("-:./_", rune(full[at-1])) {
			continue
		}
		if name = full[at:]; d.names[name] {
			if at > 0 {
				device = full[:at-1]
			}
			return name, strings.TrimPrefix(device, d.devicePrefix), true
		}
	}
	return "", "", false
}

// resolveSenML reads a pack and gives each record what its bases say.
func resolveSenML(ctx context.Context, content []byte, now time.Time) ([]resolved, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(content, &raw); err != nil {
		return nil, wrong("", "is no array of SenML records")
	}
	if len(raw) > 4*maxReadings {
		return nil, wrong("", "a pack holds at most %d records", 4*maxReadings)
	}
	base := senmlBase{version: 10}
	out := make([]resolved, 0, len(raw))
	for i, text := range raw {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		place := "[" + strconv.Itoa(i) + "]"
		record, err := readRecord(text)
		if err == nil {
			err = base.take(record)
		}
		if err != nil {
			err.Place = place + err.Place
			return nil, err
		}
		r, there, err := base.resolve(record, now)
		if err != nil {
			err.Place = place + err.Place
			return nil, err
		}
		if there {
			out = append(out, r)
		}
	}
	return out, nil
}

// readRecord reads a record, and refuses fields that have to be understood and
// are not: their names end with an underscore.
func readRecord(text json.RawMessage) (*senmlRecord, *Error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil || fields == nil {
		return nil, wrong("", "is no record: an object is due")
	}
	for name := range fields {
		if strings.HasSuffix(name, "_") {
			return nil, wrong("."+shortened(name), "has to be understood, and is not known here")
		}
	}
	var r senmlRecord
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	if err := in.Decode(&r); err != nil {
		return nil, wrong("", "has a field of the wrong type: names, units and vs are texts, vb is true or false, the others are numbers")
	}
	return &r, nil
}
