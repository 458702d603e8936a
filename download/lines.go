package download

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// lines writes measurements in one of the formats.
type lines interface {
	page(s *registry.Series, samples *registry.Samples) error
	end() error
}

func (q *query) writer(w http.ResponseWriter, reference string) lines {
	kind := strings.ToLower(string(q.twin.Kind))
	w.Header().Set("Cache-Control", "no-store")
	if q.ndjson {
		w.Header().Set("Content-Type", "application/x-ndjson")
		return &jsonLines{w: w, encoder: json.NewEncoder(w), kind: kind, reference: reference}
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="measurements.csv"`)
	return &csvLines{w: w, writer: csv.NewWriter(w), kind: kind, reference: reference}
}

// csvLines writes a header, and a row a measurement.
type csvLines struct {
	w               http.ResponseWriter
	writer          *csv.Writer
	kind, reference string
	begun           bool
}

func (l *csvLines) page(s *registry.Series, samples *registry.Samples) error {
	if err := l.begin(); err != nil {
		return err
	}
	unit := ""
	if s.Unit != nil {
		unit = *s.Unit
	}
	for i, at := range samples.At {
		value, err := text(samples.Value[i])
		if err != nil {
			return err
		}
		if err := l.writer.Write([]string{guarded(l.reference), s.Measure, at.UTC().Format(timeLayout), value, unit}); err != nil {
			return fmt.Errorf("write a row: %w", err)
		}
	}
	return l.flush()
}

func (l *csvLines) begin() error {
	if l.begun {
		return nil
	}
	l.begun = true
	if err := l.writer.Write([]string{l.kind, "measure", "at", "value", "unit"}); err != nil {
		return fmt.Errorf("write the header: %w", err)
	}
	return nil
}

func (l *csvLines) flush() error {
	l.writer.Flush()
	if err := l.writer.Error(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return flush(l.w)
}

func (l *csvLines) end() error {
	if err := l.begin(); err != nil {
		return err
	}
	return l.flush()
}

// guarded is a text that no spreadsheet takes for a formula: an apostrophe goes
// before one that begins like one, as OWASP recommends.
func guarded(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// text is a value as a cell shows it: what is no plain value as JSON.
func text(value any) (string, error) {
	switch v := value.(type) {
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	case string:
		return guarded(v), nil
	case nil:
		return "", nil
	}
	b, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("write a value: %w", err)
	}
	return string(b), nil
}

// jsonLines writes an object a measurement.
type jsonLines struct {
	w               http.ResponseWriter
	encoder         *json.Encoder
	kind, reference string
}

func (l *jsonLines) page(s *registry.Series, samples *registry.Samples) error {
	for i, at := range samples.At {
		line := map[string]any{l.kind: l.reference, "measure": s.Measure, "at": at.UTC().Format(timeLayout), "value": samples.Value[i]}
		if s.Unit != nil {
			line["unit"] = *s.Unit
		}
		if err := l.encoder.Encode(line); err != nil {
			return fmt.Errorf("write a line: %w", err)
		}
	}
	return flush(l.w)
}

func (l *jsonLines) end() error { return flush(l.w) }

func flush(w http.ResponseWriter) error {
	if err := http.NewResponseController(w).Flush(); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}
