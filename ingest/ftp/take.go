package ftp

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

const (
	// takersAtOnce bounds the files that are being taken in, and with them memory.
	// An account has one at a time.
	takersAtOnce = 8
	// longestWait bounds how long a file waits that could not be taken in.
	longestWait = 30 * time.Second
)

// takeAll takes files in until the context ends, those of an account one after the
// other.
func (s *Server) takeAll(ctx context.Context) {
	turns := make(chan struct{}, takersAtOnce)
	var takers sync.WaitGroup
	begin := func(h *home) {
		if !h.begun {
			h.begun = true
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
			s.mu.Lock()
			begin(h)
			s.mu.Unlock()
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
			case <-h.gone:
				return
			case <-h.wake:
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case h.quota.turn <- struct{}{}:
		}
		select {
		case <-ctx.Done():
			<-h.quota.turn
			return
		case turns <- struct{}{}:
		}
		err := s.take(ctx, h, next)
		<-turns
		<-h.quota.turn
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
		if st.Result == "" {
			if err := s.read(ctx, h, st); err != nil {
				return err
			}
		}
		next := *st
		var err error
		if next.To, err = s.free(h.root, st.Result+"/"+st.Path); err != nil {
			return err
		}
		if err := next.save(h.root); err != nil {
			return err
		}
		*st = next
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

// free finds a path that is not taken: files of one name come again and again, and
// a file may have the name of a folder that another one lay in.
func (s *Server) free(root *os.Root, name string) (string, error) {
	at := s.c.Clock().UTC()
	parts := strings.Split(name, "/")
	for last := 1; last < len(parts); {
		name := "files/" + path.Join(parts[:last+1]...)
		info, err := root.Lstat(name)
		there := err == nil
		if last < len(parts)-1 {
			there = there && !info.IsDir() // a folder is well
		} else if errors.Is(err, fs.ErrNotExist) {
			_, err = root.Lstat(name + reportEnding)
			there = err == nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if !there {
			last++
			continue
		}
		parts[last] = stamped(parts[last], at)
		at = at.Add(time.Millisecond)
	}
	return path.Join(parts...), nil
}

// stamped gives a name a time, instead of the one that it was given before.
func stamped(name string, at time.Time) string {
	if len(name) > len(stampFormat) && name[len(stampFormat)] == '-' {
		if _, err := time.Parse(stampFormat, name[:len(stampFormat)]); err == nil {
			name = name[len(stampFormat)+1:]
		}
	}
	return at.Format(stampFormat) + "-" + name
}

const (
	reportEnding = ".report.ndjson"
	stampFormat  = "20060102T150405.000Z"
)

// putAway moves a file that was taken, and its report, and forgets how far it was.
// It can be done again after it was interrupted.
func (s *Server) putAway(h *home, st *state) error {
	h.mu.Lock() // empty folders are not removed meanwhile
	defer h.mu.Unlock()
	to := "files/" + st.To
	if err := makeFolder(h.root, path.Dir(to)); err != nil {
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
	// Before its state is gone, or it would lie there again, and be nobody's.
	for _, folder := range []string{path.Dir(to), path.Dir("files/" + st.Path)} {
		if err := syncFolder(h.root, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return removeIfThere(h.root, stateFile(st.Path, endState))
}

func moveIfThere(root *os.Root, from, to string) error {
	if err := root.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
