package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/holon-registry/holon/registry"
)

// maxLine bounds a line, in bytes.
const maxLine = 64 << 20

// byteOrderMark is what some editors begin a file of UTF-8 with.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Item is one record on its way in.
type Item struct {
	// Line is its line in the file, from 1; with files of another system the
	// number of its record.
	Line int
	// Origin says where it came from, where Line does not: a file and an entry.
	Origin string
	Record registry.Record
	// Err says why there is no record.
	Err error
	// Notes say what of the origin the record does not carry.
	Notes []string
	// Offset is where the next item begins.
	Offset int64
}

// Feed hands over items one after the other, until yield fails.
type Feed func(yield func(Item) error) error

// Lines feeds the lines of a file in Holon's own format. It starts after the
// lines and bytes that were read before; the file's first line is a header, and
// its last one says how many there are.
func Lines(file io.Reader, line int, offset int64) Feed {
	return func(yield func(Item) error) error {
		r := bufio.NewReaderSize(file, 1<<20)
		ended := false
		for {
			text, err := readLine(r)
			if len(text) == 0 && errors.Is(err, io.EOF) {
				break
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			line++
			offset += int64(len(text))
			if line == 1 {
				text = bytes.TrimPrefix(text, byteOrderMark)
			}
			text = bytes.TrimSpace(text)
			if len(text) == 0 {
				continue
			}
			item := Item{Line: line, Offset: offset}
			item.Record, item.Err = decode(text)
			switch r := item.Record.(type) {
			case *Header:
				if r.Format != Format || r.Version != Version {
					return registry.InvalidField("version", "version", "line %d: this is %q version %d; this Holon reads %q version %d", line, r.Format, r.Version, Format, Version)
				}
				continue
			case *end:
				if ended = true; r.Lines != line {
					return registry.InvalidField("lines", "lines", "line %d: the file says that this is line %d: something is missing or too much", line, r.Lines)
				}
				continue
			}
			if line == 1 {
				return registry.InvalidField("record", "header", `the first line is no header: {"record":"header","format":"holon","version":1}`)
			}
			if err := yield(item); err != nil {
				return err
			}
		}
		if !ended {
			return registry.InvalidField("record", "end", "the file is cut off after line %d: its last line has to say {\"record\":\"end\",\"lines\":%d}", line, line+1)
		}
		return nil
	}
}

// readLine reads up to the end of a line, the end included.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxLine {
			return nil, registry.LimitExceeded("a line has at most %d bytes", maxLine)
		}
	}
}
