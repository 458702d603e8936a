package ftp

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
)

const (
	// takersAtOnce bounds the files that are being taken in, and with them memory:
	// each account has one at a time.
	takersAtOnce = 8
	// longestWait bounds how long a file waits that could not be taken in.
	longestWait = 30 * time.Second
	// unpacked is how many times its size a packed file may have: a few bytes can
	// unpack to any number.
	unpacked = 50
)

// takeAll takes files in until the context ends, those of an account one after the
// other.
func (s *Server) takeAll(ctx context.Context) {
	turns := make(chan struct{}, takersAtOnce)
	known := map[*home]bool{}
	var takers sync.WaitGroup
	begin := func(h *home) {
		if !known[h] {
			known[h] = true
			takers.Go(func() { s.takeOf(ctx, h, turns) })
		}
	}
	s.mu.Lock()
	for _, h := range s.homes {
		begin(h)
	}
	s.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			takers.Wait()
			return
		case h := <-s.opened:
			begin(h)
		}
	}
}

// takeOf takes in the files of a home.
func (s *Server) takeOf(ctx context.Context, h *home, turns chan struct{}) {
	wait := time.Duration(0)
	for {
		next := h.next()
		if next == nil {
			select {
			case <-ctx.Done():
				return
			case <-h.wake:
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case turns <- struct{}{}:
		}
		err := s.take(ctx, h, next)
		<-turns
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait = 0
			continue
		}
		wait = min(max(2*wait, 500*time.Millisecond), longestWait)
		s.c.Logger.Warn().Err(err).Str("account", next.AccountName).Str("file", next.Path).Int("line", next.Line).Dur("again_in", wait).Msg("a file cannot be taken in now")
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// take takes a file in from where it was, and puts it away. After an error it is
// taken again.
func (s *Server) take(ctx context.Context, h *home, st *state) error {
	if st.To == "" {
		refused, err := s.read(ctx, h, st)
		if err != nil {
			return err
		}
		folder := doneFolder
		if refused {
			folder = failedFolder
		}
		if st.To, err = s.free(h, folder+"/"+st.Path); err != nil {
			return err
		}
		if err := st.save(h.root); err != nil {
			return err
		}
	}
	if err := s.putAway(h, st); err != nil {
		return err
	}
	result := "done"
	if strings.HasPrefix(st.To, failedFolder+"/") {
		result = "failed"
	} else if s.c.Keep == 0 {
		if err := removeIfThere(h.root, "files/"+st.To); err != nil {
			return err
		}
	}
	s.metrics.files.WithLabelValues(result).Inc()
	s.c.Logger.Info().Str("account", st.AccountName).Str("file", st.Path).Int("readings", st.Readings).Int("refused", st.Refused).Msg("a file was taken in")
	h.forget(st)
	return nil
}

// free finds a path that is not taken: files of one name come again and again.
func (s *Server) free(h *home, name string) (string, error) {
	for at := s.c.Clock().UTC(); ; at = at.Add(time.Millisecond) {
		_, err := h.root.Lstat("files/" + name)
		_, reported := h.root.Lstat("files/" + name + reportEnding)
		if errors.Is(err, fs.ErrNotExist) && errors.Is(reported, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		folder, file := path.Split(name)
		if len(file) > len(stampFormat) && file[len(stampFormat)] == '-' {
			if _, err := time.Parse(stampFormat, file[:len(stampFormat)]); err == nil {
				file = file[len(stampFormat)+1:]
			}
		}
		name = folder + at.Format(stampFormat) + "-" + file
	}
}

const (
	reportEnding = ".report.ndjson"
	stampFormat  = "20060102T150405.000Z"
)

// putAway moves a file that was taken, and its report, and forgets how far it was.
// It can be done again after it was interrupted.
func (s *Server) putAway(h *home, st *state) error {
	to := "files/" + st.To
	if err := h.root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return err
	}
	report := stateFile(st.Path, endReport)
	if strings.HasPrefix(st.To, failedFolder+"/") {
		if err := moveIfThere(h.root, report, to+reportEnding); err != nil {
			return err
		}
	} else if err := removeIfThere(h.root, report); err != nil {
		return err
	}
	if err := moveIfThere(h.root, "files/"+st.Path, to); err != nil {
		return err
	}
	// Its age counts from now, not from when it was sent.
	now := s.c.Clock()
	if err := h.root.Chtimes(to, now, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return removeIfThere(h.root, stateFile(st.Path, endState))
}

func moveIfThere(root *os.Root, from, to string) error {
	if err := root.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// read hands a file to the queue, line by line, and says whether anything of it
// was refused.
func (s *Server) read(ctx context.Context, h *home, st *state) (refused bool, err error) {
	file, err := h.root.Open("files/" + st.Path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	at, err := placeOf(st.Path)
	if err != nil {
		return false, err
	}
	report, err := openReport(h.root, st)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, report.file.Close()) }()
	f := ingest.File{
		Principal: st.principal(), Source: sourceFTP, Template: at.template, Device: at.device, ReceivedAt: st.ReceivedAt,
		After: st.Line, Letters: true, Refused: report.refused,
		Taken: func(p ingest.FileProgress) error {
			length, err := report.sync()
			if err != nil {
				return err
			}
			st.Line, st.Report, st.Readings, st.Refused = p.Line, length, st.Readings+p.Readings, st.Refused+p.Refused
			return st.save(h.root)
		},
	}
	if at.template != "" || at.device != "" {
		f.Decoder, err = s.receiver.FileDecoder(ctx, f.Principal, at.template, at.device)
		if code := registry.CodeOf(err); err != nil && (code == registry.CodeNotFound || code == registry.CodeInvalid) {
			return true, s.refuse(ctx, f, file, report, &ingest.FileError{Cause: err})
		}
		if err != nil {
			return false, err
		}
	}
	in, err := unpack(file, st.Path, s.c.MaxFile)
	if err == nil {
		err = s.receiver.TakeFile(ctx, f, in)
	} else {
		err = &ingest.FileError{Cause: err}
	}
	if broken, ok := errors.AsType[*ingest.FileError](err); ok {
		return true, s.refuse(ctx, f, file, report, broken)
	}
	return st.Refused > 0, err
}

// refuse reports that a file cannot be read, or no further, and keeps it as a
// dead letter.
func (s *Server) refuse(ctx context.Context, f ingest.File, file *os.File, report *report, broken *ingest.FileError) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(file, 256<<10+1))
	if err != nil {
		return err
	}
	if err := s.receiver.RefuseFile(ctx, f, content, broken.Error()); err != nil {
		return err
	}
	if err := report.refused(ingest.LineFault{Line: broken.Line + 1, Reason: registry.ReasonUndecodable, Message: broken.Error()}); err != nil {
		return err
	}
	_, err = report.sync()
	return err
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
