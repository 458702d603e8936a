package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"time"

	"github.com/google/uuid"
	ftpclient "github.com/jlaffaye/ftp"
)

// perFile is how many readings a file has, a line each.
const perFile = 1000

// takenWithin is how long it may take at most until a file was taken in.
const takenWithin = 10 * time.Minute

// file is a file of readings.
type file struct {
	name    string
	content []byte
}

// addFTP adds the pipeline from files on. A file is acknowledged when it is on
// the server's disk, and taken in after that: the clock stops when all were, and
// the queue is empty.
func (r *runner) addFTP(burst int) {
	sources := r.sources(r.Connections, burst)
	r.cells = append(r.cells, &cell{part: FTP, burst: burst, run: func(ctx context.Context) (sample, error) {
		files := make([][]file, len(sources))
		clients := make([]*ftpclient.ServerConn, len(sources))
		run := uuid.NewString()
		for i, s := range sources {
			var err error
			if clients[i], err = r.uploader(ctx); err != nil {
				return sample{}, err
			}
			defer func() { _ = clients[i].Quit() }() // everything was answered
			for left := r.Readings / r.Connections; left > 0; left -= perFile {
				name := fmt.Sprintf("readings/%s-%d-%d.ndjson", run, i, len(files[i]))
				files[i] = append(files[i], file{name, lines(s.take(min(left, perFile)))})
			}
		}
		return r.kept(ctx, func() (sample, error) {
			return r.working(ctx, func(ctx context.Context) (sample, error) {
				return r.race(ctx, len(sources), func(ctx context.Context, i int, lap func(time.Time)) error {
					for _, f := range files[i] {
						began := time.Now()
						if err := clients[i].Stor(f.name, bytes.NewReader(f.content)); err != nil {
							return fmt.Errorf("send a file: %w", err)
						}
						lap(began)
					}
					for _, f := range files[i] {
						if err := taken(ctx, clients[i], f.name); err != nil {
							return err
						}
					}
					return nil
				})
			})
		})
	}})
}

// lines are readings, one a line.
func lines(readings []reading) []byte {
	var out []byte
	for _, one := range readings {
		out = append(appendReading(out, one, true), '\n')
	}
	return out
}

// uploader is a client that has logged in.
func (r *runner) uploader(ctx context.Context) (*ftpclient.ServerConn, error) {
	client, err := ftpclient.Dial(r.FTPAddress, ftpclient.DialWithContext(ctx), ftpclient.DialWithTimeout(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("connect to the FTP server: %w", err)
	}
	if err := client.Login("bench", r.Secret); err != nil {
		return nil, errors.Join(fmt.Errorf("log in to the FTP server: %w", err), client.Quit())
	}
	return client, nil
}

// taken waits until a file was taken in, all of it: until it lies in done.
func taken(ctx context.Context, client *ftpclient.ServerConn, name string) error {
	for began := time.Now(); time.Since(began) < takenWithin; {
		if there, err := lies(client, "done/"+name); there || err != nil {
			return err
		}
		if failed, err := lies(client, "failed/"+name); failed || err != nil {
			return errors.Join(err, fmt.Errorf("lines of the file %s were refused", name))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("the file %s was not taken in within %s", name, takenWithin)
}

// lies says whether there is a file.
func lies(client *ftpclient.ServerConn, path string) (bool, error) {
	_, err := client.FileSize(path)
	if told, ok := errors.AsType[*textproto.Error](err); ok && told.Code == ftpclient.StatusFileUnavailable {
		return false, nil
	}
	return err == nil, err
}
