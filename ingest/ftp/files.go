package ftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"

	"github.com/holon-registry/holon/registry"
)

// files is what one client sees and does. Every path goes through an [os.Root],
// so nothing leads out of the account's directory: no "..", no symbolic link.
type files struct {
	server  *Server
	home    *home
	session *session
	secret  string
}

// errLater is what a client is told about what is this side's fault.
var errLater = errors.New("this cannot be done now: try again later")

// inner is the path below the home's directory.
func inner(name string) string { return path.Join("files", clean(name)) }

// GetHandle implements the library's extension for transfers.
func (f *files) GetHandle(name string, flags int, offset int64) (ftpserver.FileTransfer, error) {
	if flags&(os.O_WRONLY|os.O_RDWR) == 0 {
		if err := f.allowed(); err != nil {
			return nil, err
		}
		file, err := f.home.root.Open(inner(name))
		if err != nil {
			return nil, told(err)
		}
		return &download{file, f.session.control}, nil
	}
	if offset != 0 || flags&os.O_APPEND != 0 {
		return nil, errors.New("uploads are not continued: send the whole file again")
	}
	return f.upload(clean(name))
}

// allowed refuses a key that was deleted meanwhile.
func (f *files) allowed() error {
	_, err := f.server.logIn(context.Background(), f.secret)
	return err
}

// AllocateSpace implements the library's extension for clients that say first how
// much they will send.
func (f *files) AllocateSpace(size int) error {
	if int64(size) > f.server.c.MaxFile {
		return fmt.Errorf("a file has at most %d bytes", f.server.c.MaxFile)
	}
	return nil
}

// download is a file that is being read.
type download struct {
	*os.File
	control *control
}

// Read implements io.Reader.
func (d *download) Read(into []byte) (int, error) {
	d.control.moved()
	return d.File.Read(into)
}

// WriteTo implements io.WriterTo, which would otherwise go past Read.
func (d *download) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{d})
}

// told leaves out of an error where things lie on the disk.
func told(err error) error {
	if detailed, ok := errors.AsType[*fs.PathError](err); ok {
		return detailed.Err
	}
	if detailed, ok := errors.AsType[*os.LinkError](err); ok {
		return detailed.Err
	}
	return err
}

// ReadDir implements the library's extension for lists.
func (f *files) ReadDir(name string) ([]os.FileInfo, error) {
	if err := f.allowed(); err != nil {
		return nil, err
	}
	folder, err := f.home.root.Open(inner(name))
	if err != nil {
		return nil, told(err)
	}
	list, err := folder.Readdir(-1)
	return list, told(errors.Join(err, folder.Close()))
}

// Stat implements afero.Fs.
func (f *files) Stat(name string) (os.FileInfo, error) {
	info, err := f.home.root.Stat(inner(name))
	return info, told(err)
}

// Mkdir implements afero.Fs: below the folders of the inbox only.
func (f *files) Mkdir(name string, _ os.FileMode) error {
	at := clean(name)
	if inboxOf(at) == "" {
		return errPlace
	}
	if err := f.allowed(); err != nil {
		return err
	}
	if err := checkPath(at); err != nil {
		return err
	}
	return told(f.home.makeFolder(at))
}

// MkdirAll implements afero.Fs.
func (f *files) MkdirAll(name string, mode os.FileMode) error { return f.Mkdir(name, mode) }

// Remove implements afero.Fs. What was acknowledged stays until it is taken in.
func (f *files) Remove(name string) error {
	if err := f.allowed(); err != nil {
		return err
	}
	at := clean(name)
	info, err := f.home.root.Lstat(inner(name))
	if err != nil {
		return told(err)
	}
	switch {
	case archived(at):
	case info.IsDir() && inboxOf(at) != "" && at != inboxOf(at):
	case inboxOf(at) != "" && unfinished(at):
		return f.home.drop(at)
	default:
		return errors.New("it is not taken in yet")
	}
	return told(f.home.root.Remove(inner(name)))
}

// Rename implements afero.Fs, for clients that give a file its name when it is
// complete.
func (f *files) Rename(from, to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	principal, at, err := f.target(ctx, clean(to))
	if err != nil {
		return err
	}
	if err := f.home.finish(clean(from), at.path, principal, f.server.c.Clock()); err != nil {
		return told(err)
	}
	f.server.metrics.uploads.WithLabelValues(uploadComplete).Inc()
	return nil
}

// target finds what a file of a path would be, and whether its sender may send
// it. A key that was deleted ends here.
func (f *files) target(ctx context.Context, name string) (*registry.Principal, place, error) {
	at, err := placeOf(name)
	if err != nil {
		return nil, at, fmt.Errorf("%w: %w", ftpserver.ErrFileNameNotAllowed, err)
	}
	principal, err := f.server.logIn(ctx, f.secret)
	if err != nil {
		return nil, at, err
	}
	if at.template == "" && at.device == "" {
		return principal, at, nil
	}
	_, err = f.server.receiver.FileDecoder(ctx, principal, at.template, at.device)
	if err == nil {
		return principal, at, nil
	}
	switch registry.CodeOf(err) {
	case registry.CodeNotFound, registry.CodeInvalid:
		return nil, at, fmt.Errorf("%w: %w", ftpserver.ErrFileNameNotAllowed, err)
	default:
		f.server.c.Logger.Warn().Err(err).Msg("an upload could not be checked")
		return nil, at, errLater
	}
}

// Name implements afero.Fs.
func (*files) Name() string { return "holon" }

// The rest of afero.Fs is not for clients, or not asked by the library, which
// has the extensions above.

// Create implements afero.Fs.
func (*files) Create(string) (afero.File, error) { return nil, fs.ErrPermission }

// Open implements afero.Fs.
func (*files) Open(string) (afero.File, error) { return nil, fs.ErrPermission }

// OpenFile implements afero.Fs.
func (*files) OpenFile(string, int, os.FileMode) (afero.File, error) { return nil, fs.ErrPermission }

// RemoveAll implements afero.Fs.
func (*files) RemoveAll(string) error { return fs.ErrPermission }

// Chmod implements afero.Fs.
func (*files) Chmod(string, os.FileMode) error { return fs.ErrPermission }

// Chown implements afero.Fs.
func (*files) Chown(string, int, int) error { return fs.ErrPermission }

// Chtimes implements afero.Fs.
func (*files) Chtimes(string, time.Time, time.Time) error { return fs.ErrPermission }
