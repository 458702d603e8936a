package ftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
)

// settleFor is how long a complete upload waits for its client to go. A client
// that is killed closes its connections as one that has sent everything does, so
// the end of the data alone does not say that it is all.
const settleFor = 100 * time.Millisecond

var errAborted = errors.New("the upload was not complete")

// upload is a file that is being sent. It has no name that is seen until it is
// complete.
type upload struct {
	files *files
	at    place
	part  *os.File
	name  string // of the part
	size  int64
	// begun says that there was a connection to send by, failed why it broke.
	begun  bool
	failed error
}

// upload begins an upload.
func (f *files) upload(name string) (*upload, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// The names of those that are to be renamed say nothing yet.
	check := name
	if unfinished(name) && inboxOf(name) != "" {
		check = readingsFolder + "/x"
		if err := checkPath(name); err != nil {
			return nil, fmt.Errorf("%w: %w", ftpserver.ErrFileNameNotAllowed, err)
		}
	}
	_, at, err := f.target(ctx, check)
	if err != nil {
		return nil, f.refuse(err)
	}
	at.path = name
	if err := f.home.begin(name); errors.Is(err, errFull) {
		return nil, f.refuse(fmt.Errorf("%w: %w", ftpserver.ErrStorageExceeded, err))
	} else if err != nil {
		return nil, f.refuse(fmt.Errorf("%w: %w", ftpserver.ErrFileNameNotAllowed, err))
	}
	u := &upload{files: f, at: at, name: stateFile(name, endPart)}
	if u.part, err = f.home.root.OpenFile(u.name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		f.home.end(name, 0)
		f.server.c.Logger.Error().Err(err).Msg("an upload cannot be written")
		return nil, f.refuse(errLater)
	}
	if !f.server.mayUpload(f.home) {
		return nil, errors.Join(f.refuse(errLater), u.part.Close())
	}
	return u, nil
}

// mayUpload counts an upload to a home, unless the server is stopping.
func (s *Server) mayUpload(h *home) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stopping:
		return false
	default:
		s.uploads.Add(1)
		h.users++
		return true
	}
}

// refuse counts an upload that is refused from the start.
func (f *files) refuse(err error) error {
	f.server.metrics.uploads.WithLabelValues(uploadRefused).Inc()
	return err
}

// Write implements io.Writer.
func (u *upload) Write(b []byte) (int, error) {
	u.begun = true
	u.files.session.control.moved()
	n := int64(len(b))
	if u.size+n > u.files.server.c.MaxFile {
		return 0, fmt.Errorf("%w: a file has at most %d bytes", ftpserver.ErrStorageExceeded, u.files.server.c.MaxFile)
	}
	if err := u.files.home.quota.take(n); err != nil {
		return 0, fmt.Errorf("%w: %w", ftpserver.ErrStorageExceeded, err)
	}
	u.size += n
	if _, err := u.part.Write(b); err != nil {
		u.files.server.c.Logger.Error().Err(err).Msg("an upload cannot be written")
		return 0, errLater
	}
	return len(b), nil
}

// Read implements io.Reader.
func (*upload) Read([]byte) (int, error) { return 0, fs.ErrPermission }

// Seek implements io.Seeker.
func (*upload) Seek(int64, int) (int64, error) { return 0, fs.ErrPermission }

// TransferError is called when the transfer broke.
func (u *upload) TransferError(err error) { u.failed = err }

// Close ends the upload: what is complete is on the disk when it returns nil, and
// of all else nothing stays.
func (u *upload) Close() error {
	defer u.files.server.uploads.Done()
	defer u.files.server.leave(u.files.home)
	if !u.begun {
		u.failed = errAborted
	}
	err := u.failed
	if err == nil {
		err = u.settle()
	}
	if synced := u.part.Sync(); err == nil && synced != nil {
		err = u.broken(synced)
	}
	if closed := u.part.Close(); err == nil && closed != nil {
		err = u.broken(closed)
	}
	if err == nil {
		err = u.complete()
	}
	result := uploadComplete
	if err != nil {
		result = uploadAborted
		u.files.home.end(u.at.path, u.size)
		if gone := removeIfThere(u.files.home.root, u.name); gone != nil {
			u.files.server.c.Logger.Warn().Err(gone).Msg("what is left of an upload cannot be removed")
		}
	}
	if err != nil || !unfinished(u.at.path) {
		u.files.server.metrics.uploads.WithLabelValues(result).Inc()
	}
	return err
}

// complete gives the file its name, if its sender may still send.
func (u *upload) complete() error {
	s := u.files.server
	principal, err := s.logIn(context.Background(), u.files.secret)
	if err != nil {
		return err
	}
	if err := u.files.home.complete(u.name, u.at.path, u.size, principal, s.c.Clock()); err != nil {
		return u.broken(err)
	}
	return nil
}

// broken is what the client is told of a fault of the disk.
func (u *upload) broken(err error) error {
	u.files.server.c.Logger.Error().Err(err).Msg("an upload cannot be kept")
	return errLater
}

// settle finds out whether the client is still there to be told.
func (u *upload) settle() error {
	// In several steps: where the machine is busy, one could be over before the end
	// of the connection was looked for.
	for range 5 {
		timer := time.NewTimer(settleFor / 5)
		select {
		case <-u.files.session.gone:
			timer.Stop()
			return errAborted
		case <-u.files.server.stopping:
			timer.Stop()
			return errAborted
		case <-timer.C:
		}
		if u.files.session.client.GetLastCommand() == "ABOR" {
			return errAborted
		}
	}
	return nil
}
