package decode

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// A quoted cell may go over several lines, but not over all of a file whose
// quote somebody forgot to close.
const (
	maxQuotedLines = 100
	maxQuoted      = 256 << 10
)

// What is wrong with a row.
const (
	quoteOpen   = "a quote opens here that is not closed"
	quoteWithin = "a cell that begins with a quote ends with one, and quotes within it are doubled"
	quoteBare   = "a quote within a cell that does not begin with one"
)

// csvReader reads rows of RFC 4180. A quote that is not closed spoils its line,
// and none after it.
type csvReader struct {
	in        *bufio.Reader
	delimiter string
	charset   *charmap.Charmap
	// line and offset say how much was read; ahead are lines that are read again.
	line   int
	offset int64
	ahead  []string
	cells  []string
	// raw is the last row as it was written.
	raw string
}

// read reads a row, and says in which line it begins, or is wrong. Its cells are
// valid until the next call.
func (r *csvReader) read() (line int, cells []string, err error) {
	first, err := r.next()
	if err != nil {
		return 0, nil, err
	}
	line = r.line
	text := withoutEnd(first)
	var more []string
	for {
		at, problem := r.split(text)
		if problem == "" {
			r.raw = first + strings.Join(more, "")
			return line, r.utf8(r.cells), nil
		}
		if problem == quoteOpen && len(more) < maxQuotedLines && len(text) < maxQuoted {
			next, err := r.next()
			if err == nil {
				more = append(more, next)
				text += "\n" + withoutEnd(next)
				continue
			}
			if !errors.Is(err, io.EOF) {
				return 0, nil, err
			}
		}
		good := strings.Count(text[:at], "\n")
		for _, again := range more[good:] {
			r.line, r.offset = r.line-1, r.offset-int64(len(again))
		}
		r.raw = first + strings.Join(more[:good], "")
		r.ahead = append(more[good:], r.ahead...)
		return line + good, nil, wrong("", "%s", problem)
	}
}

// utf8 turns cells into UTF-8.
func (r *csvReader) utf8(cells []string) []string {
	if r.charset == nil {
		return cells
	}
	for i, cell := range cells {
		var out strings.Builder
		for j := range len(cell) {
			out.WriteRune(r.charset.DecodeByte(cell[j]))
		}
		cells[i] = out.String()
	}
	return cells
}

// next reads a line, the end included.
func (r *csvReader) next() (text string, err error) {
	if len(r.ahead) > 0 {
		text, r.ahead = r.ahead[0], r.ahead[1:]
	} else {
		read, err := readLine(r.in)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", errors.New("the file " + err.Error()) // not of a row: nobody knows where the next one begins
		}
		if len(read) == 0 {
			return "", io.EOF
		}
		text = string(read)
	}
	r.line, r.offset = r.line+1, r.offset+int64(len(text))
	return text, nil
}

func withoutEnd(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}

// split parts a row into cells. Where one is wrong it says at which byte, and why.
func (r *csvReader) split(text string) (at int, problem string) {
	r.cells = r.cells[:0]
	for {
		rest := text[at:]
		if !strings.HasPrefix(rest, `"`) {
			cell, _, more := strings.Cut(rest, r.delimiter)
			if i := strings.IndexByte(cell, '"'); i >= 0 {
				return at + i, quoteBare
			}
			r.cells = append(r.cells, cell)
			if !more {
				return 0, ""
			}
			at += len(cell) + len(r.delimiter)
			continue
		}
		cell, size, closed := unquoted(rest)
		switch {
		case !closed:
			return at, quoteOpen
		case size == len(rest):
			r.cells = append(r.cells, cell)
			return 0, ""
		case !strings.HasPrefix(rest[size:], r.delimiter):
			return at, quoteWithin
		}
		r.cells = append(r.cells, cell)
		at += size + len(r.delimiter)
	}
}

// unquoted reads a text that begins with a quote up to the one that closes it, and
// says how many bytes that are.
func unquoted(text string) (cell string, size int, closed bool) {
	var out strings.Builder
	rest := text[1:]
	for {
		i := strings.IndexByte(rest, '"')
		if i < 0 {
			return "", 0, false
		}
		out.WriteString(rest[:i])
		if rest = rest[i+1:]; !strings.HasPrefix(rest, `"`) {
			return out.String(), len(text) - len(rest), true
		}
		out.WriteByte('"')
		rest = rest[1:]
	}
}

// csvRows reads rows one after the other.
type csvRows struct {
	in *csvReader
	// columns has the place of each column by its name.
	columns map[string]int
	// head is what was written before the first row.
	head []byte
}

// csvRow is a row, with the line where it begins, and as it was written.
type csvRow struct {
	line  int
	cells []string
	raw   string
}

func (r csvRow) place() string { return "line " + strconv.Itoa(r.line) }

// next reads a row; io.EOF at the end. Rows without a text are passed over.
func (r *csvRows) next() (csvRow, error) {
	for {
		line, cells, err := r.in.read()
		row := csvRow{line, cells, r.in.raw}
		if bad, ok := errors.AsType[*Error](err); ok {
			return row, wrong(row.place(), "is not CSV: %s", bad.Message)
		}
		if err != nil {
			return csvRow{}, err
		}
		for _, text := range cells {
			if strings.TrimSpace(text) != "" {
				return row, nil
			}
		}
	}
}
