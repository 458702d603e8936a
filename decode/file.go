package decode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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
	rows, err := d.open(file)
	if err != nil {
		return err
	}
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		piece := Piece{Line: row.line, Offset: rows.in.offset, Err: err}
		if _, wrong := errors.AsType[*Error](err); err != nil && !wrong {
			return err
		}
		piece.Content = slices.Concat(rows.head, []byte(row.raw))
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
