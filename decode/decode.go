package decode

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Payload is what is to be decoded.
type Payload struct {
	// Content is what was sent, byte by byte.
	Content []byte
	// ContentType is what its sender called it; empty if it did not say.
	ContentType string
	// ReceivedAt is when it came.
	ReceivedAt time.Time
	// Device is the reference of the device that it was sent for; empty if the
	// payload names its devices itself.
	Device string
}

// Decoder reads payloads. It was made with options and is safe for concurrent
// use. The same payload gives the same readings, in the same order, whenever it
// is decoded.
type Decoder interface {
	// Decode returns the readings of a payload, or an *Error that says where it
	// cannot be read. A reading without a time was measured when it was received.
	// There are none only where the option skipEmpty lets a payload hold nothing.
	// When the context ends, so does decoding, with the context's error.
	Decode(ctx context.Context, p Payload) ([]registry.Reading, error)
}

// Error says where in a payload a decoder gave up, and why.
type Error struct {
	// Place leads to what is at fault: "frames[3].object.temperature", "byte 7",
	// "line 12, column Temp".
	Place string
	// Message says in a sentence what is expected.
	Message string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Place == "" {
		return e.Message
	}
	return e.Place + ": " + e.Message
}

func wrong(place, format string, args ...any) *Error {
	return &Error{Place: place, Message: fmt.Sprintf(format, args...)}
}

// maxReadings bounds the readings of one payload.
const maxReadings = 10_000

func tooMany(place string) *Error {
	return wrong(place, "a payload holds at most %d readings", maxReadings)
}

// holding returns the readings of a payload that was read to its end. One without
// any is refused, unless empty frames may be passed over: it would be lost.
func holding(readings []registry.Reading, skip bool) ([]registry.Reading, error) {
	if len(readings) == 0 && !skip {
		return nil, wrong("", "holds no reading")
	}
	return readings, nil
}

// makers make the built-in decoders of their options.
var makers = map[string]func(o *options, measures *measures) Decoder{
	"json": newJSON, "csv": newCSV, "cayenne": newCayenne, "senml": newSenML,
}

// Names are those of the decoders, sorted.
func Names() []string { return slices.Sorted(maps.Keys(makers)) }

// New makes a decoder, or says all that is wrong with its declaration, by paths
// that begin with "decoder". The template declares the measures that may be
// mapped; nil, or an open one, lets all through.
func New(declared registry.TemplateDecoder, template *registry.Template) (Decoder, []registry.Violation) {
	maker, known := makers[declared.Name]
	if !known {
		return nil, []registry.Violation{{Path: "decoder.name", Rule: "unknown", Message: "the decoders are " + strings.Join(Names(), ", ")}}
	}
	var violations []registry.Violation
	o := newOptions("decoder.options", declared.Options, &violations)
	m := &measures{template: template}
	if template != nil && template.Open {
		m.template = nil
	}
	d := maker(o, m)
	o.end()
	if len(violations) > 0 {
		return nil, violations
	}
	return d, nil
}

// Check says all that is wrong with the decoder of a template.
func Check(t *registry.Template) []registry.Violation {
	if t.Decoder == nil {
		return nil
	}
	if t.Kind != registry.KindDevice {
		return []registry.Violation{{Path: "decoder", Rule: "kind", Message: "only devices send payloads"}}
	}
	_, violations := New(*t.Decoder, t)
	return violations
}
