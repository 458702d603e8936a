package download

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/holon-registry/holon/registry"
)

// twinLines writes twins in one of the formats.
type twinLines interface {
	row(r *Row) error
	flush() error
}

// twinCSV writes a header, and a row a twin.
type twinCSV struct {
	w                    http.ResponseWriter
	writer               *csv.Writer
	attributes, measures []string
	// restAttributes and restMeasures add a column with what has none of its own.
	restAttributes, restMeasures bool
}

func newTwinCSV(w http.ResponseWriter, attributes, measures []string, restAttributes, restMeasures bool) (*twinCSV, error) {
	l := &twinCSV{w, csv.NewWriter(w), attributes, measures, restAttributes, restMeasures}
	header := []string{"reference", "template", "templateVersion", "state", "description", "externalReference", "createdAt", "updatedAt"}
	for _, name := range attributes {
		header = append(header, "attributes."+name)
	}
	if restAttributes {
		header = append(header, "attributes")
	}
	for _, name := range measures {
		header = append(header, "measures."+name)
	}
	if restMeasures {
		header = append(header, "measures")
	}
	if err := l.writer.Write(append(header, "lastMeasuredAt")); err != nil {
		return nil, fmt.Errorf("write the header: %w", err)
	}
	return l, nil
}

func (l *twinCSV) row(r *Row) error {
	cells := []string{
		guarded(r.Reference), r.Template, strconv.Itoa(r.TemplateVersion), string(r.State), guarded(orEmpty(r.Description)), guarded(orEmpty(r.ExternalReference)),
		r.CreatedAt.UTC().Format(timeLayout), r.UpdatedAt.UTC().Format(timeLayout),
	}
	add := func(value any) error {
		cell, err := text(value)
		cells = append(cells, cell)
		return err
	}
	for _, name := range l.attributes {
		if err := add(r.Attributes[name]); err != nil {
			return err
		}
	}
	if l.restAttributes {
		if err := add(besides(r.Attributes, l.attributes)); err != nil {
			return err
		}
	}
	live := map[string]any{}
	for i := range r.Live {
		live[r.Live[i].Measure] = r.Live[i].Value
	}
	for _, name := range l.measures {
		if err := add(live[name]); err != nil {
			return err
		}
	}
	if l.restMeasures {
		if err := add(besides(live, l.measures)); err != nil {
			return err
		}
	}
	last := ""
	if at := r.lastMeasuredAt(); !at.IsZero() {
		last = at.UTC().Format(timeLayout)
	}
	if err := l.writer.Write(append(cells, last)); err != nil {
		return fmt.Errorf("write a row: %w", err)
	}
	return nil
}

// besides are values that have no column; nil for none.
func besides(values map[string]any, columns []string) any {
	rest := map[string]any{}
	for name, value := range values {
		if !slices.Contains(columns, name) {
			rest[name] = value
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func (l *twinCSV) flush() error {
	l.writer.Flush()
	if err := l.writer.Error(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return flush(l.w)
}

// twinJSON writes an object a twin.
type twinJSON struct {
	w       http.ResponseWriter
	encoder *json.Encoder
	query   twinsQuery
}

// twinLine is a twin in JSON lines.
type twinLine struct {
	Reference         string               `json:"reference"`
	Template          string               `json:"template"`
	TemplateVersion   int                  `json:"templateVersion"`
	State             registry.State       `json:"state"`
	Description       *string              `json:"description,omitempty"`
	ExternalReference *string              `json:"externalReference,omitempty"`
	ImageURL          *string              `json:"imageUrl,omitempty"`
	Connected         *bool                `json:"connected,omitempty"`
	CreatedAt         string               `json:"createdAt"`
	UpdatedAt         string               `json:"updatedAt"`
	Attributes        map[string]any       `json:"attributes"`
	Measures          map[string]lineValue `json:"measures"`
	LastMeasuredAt    string               `json:"lastMeasuredAt,omitempty"`
}

type lineValue struct {
	Value      any    `json:"value"`
	Unit       string `json:"unit,omitempty"`
	MeasuredAt string `json:"measuredAt"`
}

func (l *twinJSON) row(r *Row) error {
	line := twinLine{
		Reference: r.Reference, Template: r.Template, TemplateVersion: r.TemplateVersion, State: r.State, Description: r.Description,
		ExternalReference: r.ExternalReference, ImageURL: r.ImageURL, Connected: r.Connected,
		CreatedAt: r.CreatedAt.UTC().Format(timeLayout), UpdatedAt: r.UpdatedAt.UTC().Format(timeLayout),
		Attributes: map[string]any{}, Measures: map[string]lineValue{},
	}
	for name, value := range r.Attributes {
		if l.query.attributes == nil || slices.Contains(l.query.attributes, name) {
			line.Attributes[name] = value
		}
	}
	for _, v := range r.Live {
		if l.query.measures == nil || slices.Contains(l.query.measures, v.Measure) {
			line.Measures[v.Measure] = lineValue{v.Value, v.Unit, v.MeasuredAt.UTC().Format(timeLayout)}
		}
	}
	if at := r.lastMeasuredAt(); !at.IsZero() {
		line.LastMeasuredAt = at.UTC().Format(timeLayout)
	}
	if err := l.encoder.Encode(line); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return nil
}

func (l *twinJSON) flush() error { return flush(l.w) }
