package ftp

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
)

// unpacked is how many times its size a packed file may have: a few bytes can
// unpack to any number.
const unpacked = 50

// read hands a file to the queue, line by line, and notes whether anything of it
// was refused.
func (s *Server) read(ctx context.Context, h *home, st *state) (err error) {
	file, err := h.root.Open("files/" + st.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	at, err := placeOf(st.Path)
	if err != nil {
		return err
	}
	report, err := openReport(h.root, st)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, report.file.Close()) }()
	var next state
	f := ingest.File{
		Principal: st.principal(), Source: sourceFTP, Template: at.template, Device: at.device, ReceivedAt: st.ReceivedAt,
		After: st.Line, Letters: true, Refused: report.refused,
		// A full disk ends it before the queue has anything, not after.
		Ready: func(p ingest.FileProgress) error {
			length, err := report.sync()
			if err != nil {
				return err
			}
			next = *st
			next.Line, next.Report, next.Readings, next.Refused = p.Line, length, st.Readings+p.Readings, st.Refused+p.Refused
			return next.prepare(h.root)
		},
		Taken: func(ingest.FileProgress) error {
			if err := next.commit(h.root); err != nil {
				return err
			}
			*st = next
			return nil
		},
	}
	if at.template != "" || at.device != "" {
		f.Decoder, err = s.receiver.FileDecoder(ctx, f.Principal, at.template, at.device)
		if code := registry.CodeOf(err); err != nil && (code == registry.CodeNotFound || code == registry.CodeInvalid) {
			return s.refuse(ctx, h.root, st, f, file, report, &ingest.FileError{Cause: err})
		}
		if err != nil {
			return err
		}
	}
	disk := &disk{in: file}
	in, err := unpack(disk, st.Path, s.c.MaxFile)
	if err == nil {
		err = s.receiver.TakeFile(ctx, f, in)
	} else {
		err = &ingest.FileError{Cause: err}
	}
	if disk.err != nil {
		return disk.err // the file is not at fault
	}
	if broken, ok := errors.AsType[*ingest.FileError](err); ok {
		return s.refuse(ctx, h.root, st, f, file, report, broken)
	}
	if err != nil {
		return err
	}
	st.Result = doneFolder
	if st.Refused > 0 {
		st.Result = failedFolder
	}
	return nil
}

// disk remembers that a file could not be read from the disk, which says nothing of
// what is in it.
type disk struct {
	in  io.Reader
	err error
}

// Read implements io.Reader.
func (d *disk) Read(into []byte) (int, error) {
	n, err := d.in.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
	return n, err
}

// refuse reports that a file cannot be read, or no further, and keeps it as a
// dead letter. It is remembered, so that it is refused once.
func (s *Server) refuse(ctx context.Context, root *os.Root, st *state, f ingest.File, file *os.File, report *report, broken *ingest.FileError) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(file, 256<<10+1))
	if err != nil {
		return err
	}
	if err := report.refused(ingest.LineFault{Line: broken.Line + 1, Reason: registry.ReasonUndecodable, Message: broken.Error()}); err != nil {
		return err
	}
	next := *st
	next.Result = failedFolder
	if next.Report, err = report.sync(); err != nil {
		return err
	}
	if err := next.prepare(root); err != nil {
		return err
	}
	if err := s.receiver.RefuseFile(ctx, f, content, broken.Error()); err != nil {
		return err
	}
	if err := next.commit(root); err != nil {
		return err
	}
	*st = next
	return nil
}

// unpack unpacks a file whose name says that it is packed.
func unpack(file io.Reader, name string, most int64) (io.Reader, error) {
	if !strings.HasSuffix(strings.ToLower(name), ".gz") {
		return file, nil
	}
	plain, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("is not packed with gzip: %w", err)
	}
	return &bounded{in: plain, left: most * unpacked}, nil
}

// bounded fails where there is too much to read.
type bounded struct {
	in   io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(into []byte) (int, error) {
	n, err := b.in.Read(into)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("unpacks to too much")
	}
	return n, err
}

// report tells what was refused of a file.
type report struct {
	file *os.File
	out  *json.Encoder
}

// openReport goes on with a report from where the file was.
func openReport(root *os.Root, st *state) (*report, error) {
	file, err := root.OpenFile(stateFile(st.Path, endReport), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = file.Truncate(st.Report)
	if err == nil {
		_, err = file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r := &report{file: file, out: json.NewEncoder(file)}
	r.out.SetEscapeHTML(false)
	return r, nil
}

func (r *report) refused(fault ingest.LineFault) error {
	return r.out.Encode(struct {
		Line    int                       `json:"line"`
		Code    registry.DeadLetterReason `json:"code"`
		Message string                    `json:"message"`
	}{fault.Line, fault.Reason, fault.Message})
}

// sync brings the report to the disk and says how long it is.
func (r *report) sync() (int64, error) {
	if err := r.file.Sync(); err != nil {
		return 0, err
	}
	return r.file.Seek(0, io.SeekCurrent)
}
