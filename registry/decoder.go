package registry

import (
	"encoding/json"
	"time"
)

// TemplateDecoder says how the devices of a template write their payloads.
type TemplateDecoder struct {
	// Name is that of a decoder: "json", "csv", ...
	Name string `json:"name"`
	// Options are the decoder's own.
	Options map[string]any `json:"options,omitempty"`
}

// normal is the declaration with its options as they are read back from JSON.
func (d *TemplateDecoder) normal() (*TemplateDecoder, error) {
	text, err := json.Marshal(d.Options)
	if err != nil {
		return nil, InvalidField("decoder.options", "type", "is a JSON object")
	}
	out := &TemplateDecoder{Name: d.Name}
	if err := json.Unmarshal(text, &out.Options); err != nil {
		return nil, InvalidField("decoder.options", "type", "is a JSON object")
	}
	if len(out.Options) == 0 {
		out.Options = nil
	}
	return out, nil
}

// Payload is what was sent in a format of its sender's own.
type Payload struct {
	ID ID
	// Content is what was sent, byte by byte.
	Content []byte
	// Bytes is how many they are, where the content was not read.
	Bytes int
	// ContentType is what the sender called it; empty if it did not say.
	ContentType string
	// Template names the template whose decoder reads it, where the payload names
	// its devices itself; empty where it was sent for one device.
	Template   string
	Source     string
	ReceivedAt time.Time
	// Kept says that the payload stays in the store for a while.
	Kept bool
	// Valid says that its decoder could read it and that its readings were right,
	// when it was decoded last.
	Valid bool
}

// Size is how many bytes the payload has, known without its content too.
func (p *Payload) Size() int { return max(p.Bytes, len(p.Content)) }

// Kind is the content type, nil if the sender gave none.
func (p *Payload) Kind() *string { return someText(p.ContentType) }

// TemplateName is the template that the payload was sent to, nil if it was sent
// for a device.
func (p *Payload) TemplateName() *string { return someText(p.Template) }

func someText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
