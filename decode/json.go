package decode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// jsonDecoder reads JSON documents by paths: one, or one a line.
type jsonDecoder struct {
	frames   *path
	device   *path
	time     *path
	moments  moments
	measures []mapping
	// attributes are what frames say of their devices.
	attributes []attributePath
	// skipEmpty passes over frames that hold nothing, neither values nor attributes.
	skipEmpty bool
}

func newJSON(o *options, m *measures) Decoder {
	d := &jsonDecoder{skipEmpty: o.flag("skipEmpty")}
	if p, ok := o.pathOption("frames"); ok {
		d.frames = &p
	}
	if p, ok := o.pathOption("device"); ok {
		d.device = &p
	}
	if at := o.short("time", "path"); at != nil {
		if p, ok := at.pathOption("path"); ok {
			d.time = &p
		} else if at.values["path"] == nil {
			at.refuse("path", "required", "says where the time is")
		}
		d.moments = at.momentOptions()
		at.end()
	}
	d.measures = m.mappings(o, "path", func(o *options) (any, string) {
		p, ok := o.pathOption("path")
		if !ok {
			return nil, ""
		}
		return p, p.text
	}, parseNumber)
	d.attributes = m.attributePaths(o)
	return d
}

// Decode implements Decoder.
func (d *jsonDecoder) Decode(ctx context.Context, p Payload) ([]registry.Reading, error) {
	var out []registry.Reading
	left := budget(maxWeight)
	in := json.NewDecoder(bytes.NewReader(p.Content))
	in.UseNumber()
	for n := 0; ; n++ {
		var document any
		err := in.Decode(&document)
		if errors.Is(err, io.EOF) && n > 0 {
			return holding(out, d.skipEmpty)
		}
		if err != nil {
			return nil, malformed(err, len(p.Content))
		}
		place := ""
		if n > 0 {
			place = "document " + strconv.Itoa(n+1) + ", "
		}
		if out, err = d.document(ctx, out, document, place, p, &left); err != nil {
			return nil, err
		}
	}
}

// malformed says where a document is no JSON.
func malformed(err error, end int) *Error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return wrong("byte "+strconv.FormatInt(syntax.Offset, 10), "is not JSON: %s", syntax)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return wrong("byte "+strconv.Itoa(end), "is not JSON: it ends too soon")
	}
	return wrong("", "is not JSON")
}

// document adds the readings of the frames of a document.
func (d *jsonDecoder) document(ctx context.Context, out []registry.Reading, document any, place string, p Payload, left *budget) ([]registry.Reading, error) {
	frames, listed := document.([]any)
	name := ""
	if d.frames != nil {
		found, ok := d.frames.follow(document, document)
		if !ok {
			return nil, wrong(place+d.frames.text, "is not there: a list of frames is due")
		}
		if frames, listed = found.([]any); !listed {
			return nil, wrong(place+d.frames.text, "is no list")
		}
		name = d.frames.text
	}
	if !listed {
		frames = []any{document}
	}
	for i, frame := range frames {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := place
		if listed {
			at += name + "[" + strconv.Itoa(i) + "]."
		}
		reading, ok, err := d.frame(document, frame, p, left)
		if err != nil {
			err.Place = at + err.Place
			err.Place = strings.TrimRight(err.Place, "., ")
			return nil, err
		}
		if !ok {
			continue
		}
		if len(out) == maxReadings {
			return nil, tooMany(strings.TrimRight(at, "., "))
		}
		out = append(out, reading)
	}
	return out, nil
}

func (d *jsonDecoder) frame(document, frame any, p Payload, left *budget) (r registry.Reading, ok bool, err *Error) {
	if _, object := frame.(map[string]any); !object {
		return r, false, wrong("", "a frame is an object")
	}
	if d.device != nil {
		found, _ := d.device.follow(document, frame)
		r.Device, _ = textOf(found)
		if r.Device == "" && p.Device == "" {
			return r, false, wrong(d.device.text, "names no device")
		}
	}
	if r.Device, err = deviceOf(r.Device, p); err != nil {
		if d.device != nil {
			err.Place = d.device.text
		}
		return r, false, err
	}
	if d.time != nil {
		found, there := d.time.follow(document, frame)
		if !there {
			return r, false, wrong(d.time.text, "is not there: the time is due")
		}
		var message string
		if r.MeasuredAt, message = d.moments.read(found); message != "" {
			return r, false, wrong(d.time.text, "%s", message)
		}
	}
	r.Values, err = values(d.measures, func(place any) (any, string, bool) {
		found, ok := place.(path).follow(document, frame)
		return found, "", ok
	}, left)
	if err != nil {
		return r, false, err
	}
	r.Attributes = attributesIn(d.attributes, document, frame)
	// One text of the document may be the device of every frame, or its attribute.
	if err := left.spend(weight(r.Device) + weightOf(r.Attributes)); err != nil {
		return r, false, err
	}
	if len(r.Attributes) > 0 {
		return r, true, nil
	}
	return r, len(r.Values) > 0, emptyFrame(r.Values, d.measures, d.skipEmpty)
}

// deviceOf is the device that a frame is of: the one that the payload was sent
// for, and the frame may name no other.
func deviceOf(named string, p Payload) (string, *Error) {
	switch {
	case p.Device == "" && named == "":
		return "", wrong("", "the payload names no device: send it for one, or say with the option device where it is named")
	case p.Device == "":
		return named, nil
	case named != "" && named != p.Device && rule.Fold(named) != rule.Fold(p.Device):
		return "", wrong("", "names device %s, but was sent for %s", strconv.Quote(shortened(named)), strconv.Quote(shortened(p.Device)))
	}
	return p.Device, nil
}

// emptyFrame refuses a frame in which none of the mapped values is.
func emptyFrame(values map[string]any, mapped []mapping, skip bool) *Error {
	if len(values) > 0 || skip {
		return nil
	}
	if places := labelled(mapped); places != "" {
		return wrong("", "none of the mapped values is there: %s", places)
	}
	return wrong("", "none of the mapped values is there")
}
