package decode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/holon-registry/holon/registry"
)

// charsets are those of files beside UTF-8. Each has ASCII in its place, so that
// rows are taken apart before their cells are read.
var charsets = map[string]*charmap.Charmap{
	"ISO-8859-1": charmap.ISO8859_1, "ISO-8859-15": charmap.ISO8859_15, "windows-1252": charmap.Windows1252,
}

// csvDecoder reads rows of columns: RFC 4180, with another delimiter if need be.
type csvDecoder struct {
	delimiter rune
	// charset is what the file is in; nil for UTF-8.
	charset   *charmap.Charmap
	skipLines int
	// columns are named by the first row, unless the options name them.
	columns   []string
	device    string
	time      []string
	moments   moments
	measures  []mapping
	skipEmpty bool
}

func newCSV(o *options, m *measures) Decoder {
	d := &csvDecoder{delimiter: ',', device: o.text("device"), columns: o.texts("columns"), skipEmpty: o.flag("skipEmpty")}
	if text := o.text("delimiter"); text != "" {
		c, size := utf8.DecodeRuneInString(text)
		if size != len(text) || strings.ContainsRune("\"\r\n\uFFFD", c) {
			o.refuse("delimiter", "format", "is one character, such as ; or a tab")
		} else {
			d.delimiter = c
		}
	}
	d.charset = charsets[o.one("charset", "UTF-8", "ISO-8859-1", "ISO-8859-15", "windows-1252")]
	if d.charset != nil && d.delimiter >= utf8.RuneSelf {
		o.refuse("delimiter", "format", "is an ASCII character where a charset is given")
	}
	if n := o.integer("skipLines", 0, 1000); n != nil {
		d.skipLines = *n
	}
	number := parseNumber
	if o.one("decimal", ".", ",") == "," {
		if number = parseComma; d.delimiter == ',' {
			o.refuse("decimal", "exclusive", "is the delimiter as well: say with the option delimiter what stands between columns")
		}
	}
	if at := o.short("time", "column"); at != nil {
		if d.time = at.texts("column"); len(d.time) == 0 {
			at.refuse("column", "required", "names the column of the time, or several whose texts are put together with a space between them")
		}
		d.moments = at.momentOptions()
		at.end()
	}
	d.measures = m.mappings(o, "column", func(o *options) (any, string) {
		text := o.text("column")
		return text, text
	}, number)
	return d
}

// Decode implements Decoder.
func (d *csvDecoder) Decode(ctx context.Context, p Payload) ([]registry.Reading, error) {
	rows, err := d.open(bytes.NewReader(p.Content))
	if err != nil {
		return nil, err
	}
	var out []registry.Reading
	left := budget(maxWeight)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return holding(out, d.skipEmpty)
		}
		if err != nil {
			return nil, err
		}
		reading, ok, wrong := d.reading(rows.columns, row, p, &left)
		if wrong != nil {
			return nil, wrong
		}
		if !ok {
			continue
		}
		if len(out) == maxReadings {
			return nil, tooMany(row.place())
		}
		out = append(out, reading)
	}
}

// open reads up to the first row that is none of names.
func (d *csvDecoder) open(file io.Reader) (*csvRows, error) {
	in := &csvReader{in: bufio.NewReader(file), delimiter: string(d.delimiter), charset: d.charset}
	if mark, err := in.in.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = in.in.Discard(3) // it was read a moment ago
		in.offset = 3
	}
	rows := &csvRows{in: in}
	for range d.skipLines {
		skipped, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil, wrong("", "has no more than the %d lines that are skipped", d.skipLines)
		}
		if err != nil {
			return nil, err
		}
		rows.head = append(rows.head, skipped...)
	}
	names := d.columns
	if len(names) == 0 {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil, wrong("", "is empty: a row with the names of the columns is due")
		}
		if err != nil {
			return nil, err
		}
		names, rows.head = row.cells, append(rows.head, row.raw...)
	}
	rows.columns = make(map[string]int, len(names))
	for i, name := range names {
		if name = strings.TrimSpace(name); name != "" {
			if _, twice := rows.columns[name]; twice {
				return nil, wrong("line "+strconv.Itoa(d.skipLines+1), "there are two columns %s", strconv.Quote(shortened(name)))
			}
			rows.columns[name] = i
		}
	}
	return rows, d.checkColumns(rows.columns)
}

// checkColumns refuses rows that lack a column that is mapped.
func (d *csvDecoder) checkColumns(columns map[string]int) error {
	wanted := append([]string{}, d.time...)
	if d.device != "" {
		wanted = append(wanted, d.device)
	}
	for i := range d.measures {
		v := &d.measures[i].value
		if v.fields == nil {
			wanted = append(wanted, v.label)
		}
		for j := range v.fields {
			wanted = append(wanted, v.fields[j].value.label)
		}
	}
	for _, name := range wanted {
		if _, ok := columns[name]; !ok {
			for other := range columns {
				if !utf8.ValidString(other) {
					return wrong("line "+strconv.Itoa(d.skipLines+1), "is not UTF-8: say what it is with the option charset, such as ISO-8859-1")
				}
			}
			return wrong("line "+strconv.Itoa(d.skipLines+1), "there is no column %s", strconv.Quote(shortened(name)))
		}
	}
	return nil
}

// reading makes a reading of a row; ok is false if it has none of the values.
func (d *csvDecoder) reading(columns map[string]int, row csvRow, p Payload, left *budget) (r registry.Reading, ok bool, err *Error) {
	find := func(column any) (any, string, bool) {
		i := columns[column.(string)]
		if i >= len(row.cells) {
			return nil, "", false
		}
		return cell(row.cells[i]), "", true
	}
	if r, err = d.frame(find, p, left); err == nil {
		err = emptyFrame(r.Values, d.measures, d.skipEmpty)
	}
	if err != nil {
		if err.Place != "" {
			err.Place = ", column " + err.Place
		}
		err.Place = row.place() + err.Place
	}
	return r, len(r.Values) > 0, err
}

func (d *csvDecoder) frame(find finder, p Payload, left *budget) (r registry.Reading, err *Error) {
	if d.device != "" {
		found, _, _ := find(d.device)
		r.Device, _ = plainText(found)
		if r.Device == "" && p.Device == "" {
			return r, wrong(d.device, "names no device")
		}
	}
	if r.Device, err = deviceOf(r.Device, p); err != nil {
		err.Place = d.device
		return r, err
	}
	if r.MeasuredAt, err = d.measuredAt(find); err != nil {
		return r, err
	}
	r.Values, err = values(d.measures, find, left)
	return r, err
}

func (d *csvDecoder) measuredAt(find finder) (time.Time, *Error) {
	if len(d.time) == 0 {
		return time.Time{}, nil
	}
	parts := make([]string, len(d.time))
	for i, column := range d.time {
		found, _, _ := find(column)
		parts[i], _ = plainText(found)
		if parts[i] == "" {
			return time.Time{}, wrong(column, "is empty: the time is due")
		}
	}
	at, message := d.moments.read(strings.Join(parts, " "))
	if message != "" {
		return time.Time{}, wrong(d.time[0], "%s", message)
	}
	return at, nil
}
