package decode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// Piece is what stands on a line of a file, or on several that belong together.
type Piece struct {
	// Line is where it begins, from 1; Offset how much of the file was read with it.
	Line     int
	Offset   int64
	Readings []registry.Reading
	// Content is the piece as a payload of its own, which gives the same readings: a
	// row has the names of the columns before it.
	Content []byte
	// Err says why it cannot be decoded; the next one may be.
	Err error
}

// maxLine bounds a line of a file, in bytes.
const maxLine = 4 << 20

// Pieces decodes a file piece by piece until yield fails: CSV row by row, of any
// other decoder each line as a payload. The payload says what holds for all of
// them. An error is one of the file as a whole, or of yield.
func Pieces(ctx context.Context, d Decoder, p Payload, file io.Reader, yield func(Piece) error) error {
	if rows, ok := d.(*csvDecoder); ok {
		return rows.pieces(p, file, yield)
	}
	in := bufio.NewReaderSize(file, 64<<10)
	piece := Piece{}
	for {
		text, err := readLine(in)
		if len(text) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		piece.Line++
		piece.Offset += int64(len(text))
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		p.Content, piece.Content = text, text
		piece.Readings, piece.Err = d.Decode(ctx, p)
		if err := yield(piece); err != nil {
			return err
		}
	}
}

func (d *csvDecoder) pieces(p Payload, file io.Reader, yield func(Piece) error) error {
	kept := &recorder{in: file}
	rows, err := d.open(kept)
	if err != nil {
		return err
	}
	head := kept.upTo(rows.offset())
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		piece := Piece{Line: row.line, Offset: rows.offset(), Err: err}
		if _, wrong := errors.AsType[*Error](err); err != nil && !wrong {
			return err
		}
		piece.Content = slices.Concat(head, kept.upTo(piece.Offset))
		if err == nil {
			left := budget(maxWeight) // each row is a payload
			reading, ok, wrong := d.reading(rows.columns, row, p, &left)
			if wrong != nil {
				piece.Err = wrong
			} else if ok {
				piece.Readings = []registry.Reading{reading}
			}
		}
		if err := yield(piece); err != nil {
			return err
		}
	}
}

// recorder keeps what was read of a file since it was last asked, so that a row
// can be had as it was written.
type recorder struct {
	in   io.Reader
	kept []byte
	// from is where in the file the kept bytes begin.
	from int64
}

// Read implements io.Reader. It fails where a row has no end, as after a quote
// that is never closed: otherwise all that follows would come into memory.
func (r *recorder) Read(into []byte) (int, error) {
	if len(r.kept) > maxLine {
		return 0, fmt.Errorf("has a row of more than %d bytes", maxLine)
	}
	n, err := r.in.Read(into)
	r.kept = append(r.kept, into[:n]...)
	return n, err
}

// upTo returns what lies before an offset, and keeps it no longer.
func (r *recorder) upTo(offset int64) []byte {
	n := int(offset - r.from)
	part := bytes.Clone(r.kept[:n])
	r.kept, r.from = append(r.kept[:0], r.kept[n:]...), offset
	return part
}

// readLine reads up to the end of a line, the end included.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxLine {
			return nil, wrong("", "has a line of more than %d bytes", maxLine)
		}
	}
}
