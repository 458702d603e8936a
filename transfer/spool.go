package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// spool holds the lines of a file until it is known what changed while they
// were read: a temporary file a section, each line after its owner and its
// place, and the corrections in memory.
type spool struct {
	files map[registry.RecordKind]*spoolFile
	// forgotten owners' lines in the files hold no longer.
	forgotten map[registry.ID]bool
	// corrections are what came in their place.
	corrections map[registry.ID][]entry
}

type spoolFile struct {
	file  *os.File
	w     *bufio.Writer
	lines int
}

func newSpool(dir string) (*spool, error) {
	s := &spool{files: map[registry.RecordKind]*spoolFile{}, forgotten: map[registry.ID]bool{}, corrections: map[registry.ID][]entry{}}
	for _, kind := range sections {
		file, err := os.Create(filepath.Join(dir, string(kind)))
		if err != nil {
			s.close()
			return nil, fmt.Errorf("temporary file: %w", err)
		}
		s.files[kind] = &spoolFile{file: file, w: bufio.NewWriterSize(file, 1<<18)}
	}
	return s, nil
}

func (s *spool) close() {
	for _, f := range s.files {
		f.file.Close()
	}
}

// add writes a line to its section's file.
func (s *spool) add(e entry) error {
	f := s.files[e.kind]
	f.lines++
	for _, part := range []string{string(e.owner), "\t", e.order, "\t"} {
		if _, err := f.w.WriteString(part); err != nil {
			return err
		}
	}
	if _, err := f.w.Write(e.line); err != nil {
		return err
	}
	return f.w.WriteByte('\n')
}

// forget takes all lines of an owner out.
func (s *spool) forget(owner registry.ID) {
	s.forgotten[owner] = true
	delete(s.corrections, owner)
}

// correct adds a line in the place of what was forgotten.
func (s *spool) correct(e entry) error {
	s.corrections[e.owner] = append(s.corrections[e.owner], e)
	return nil
}

func (s *spool) corrected() int { return len(s.forgotten) }

// counts says how many lines each section will have.
func (s *spool) counts() (map[registry.RecordKind]int, error) {
	out := map[registry.RecordKind]int{}
	for _, kind := range sections {
		n := s.files[kind].lines
		if len(s.forgotten) > 0 {
			n = 0
			if err := s.merge(kind, func([]byte) error { n++; return nil }); err != nil {
				return nil, err
			}
		}
		if n > 0 {
			out[kind] = n
		}
	}
	return out, nil
}

// merge hands over the lines of a section, in order, with what was corrected.
func (s *spool) merge(kind registry.RecordKind, to func(line []byte) error) error {
	f := s.files[kind]
	if err := f.w.Flush(); err != nil {
		return err
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	pending := s.pending(kind)
	flush := func(upto string, all bool) error {
		for len(pending) > 0 && (all || pending[0].order < upto) {
			if err := to(pending[0].line); err != nil {
				return err
			}
			pending = pending[1:]
		}
		return nil
	}
	r := bufio.NewReaderSize(f.file, 1<<18)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return flush("", true)
		}
		if err != nil {
			return fmt.Errorf("temporary file: %w", err)
		}
		owner, rest, _ := bytes.Cut(line[:len(line)-1], []byte{'\t'})
		order, text, _ := bytes.Cut(rest, []byte{'\t'})
		if s.forgotten[registry.ID(owner)] {
			continue
		}
		if err := flush(string(order), false); err != nil {
			return err
		}
		if err := to(text); err != nil {
			return err
		}
	}
}

// pending are the corrections of a section, in order.
func (s *spool) pending(kind registry.RecordKind) []entry {
	var out []entry
	for _, entries := range s.corrections {
		for _, e := range entries {
			if e.kind == kind {
				out = append(out, e)
			}
		}
	}
	slices.SortStableFunc(out, func(x, y entry) int { return strings.Compare(x.order, y.order) })
	return out
}
