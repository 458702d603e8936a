package main

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/ingest/ftp"
)

// TestFTPAborts breaks uploads off in their middle: nothing of them stays, and
// nothing is in the way of sending them again.
func TestFTPAborts(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, makeLogger, nil)
	directory := t.TempDir()
	address, stop := serveFiles(t, ftp.Config{Directory: directory})
	parts := func() int {
		found, err := filepath.Glob(filepath.Join(directory, "*", "state", "*.part"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	const line = `{"device": "l1", "measuredAt": "2026-01-01T00:00:00Z", "values": {"temperature": 1}}` + "\n"
	begin := func() (c *fileClient, content *io.PipeWriter, ended chan error) {
		c = logIn(t, address, client.key)
		reader, content := io.Pipe()
		ended = make(chan error, 1)
		go func() { ended <- c.Stor("/readings/x.ndjson", reader) }()
		if _, err := io.WriteString(content, line+line[:40]); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the upload", func() bool { return parts() == 1 })
		return c, content, ended
	}
	watch := logIn(t, address, client.key)
	nothing := func(how string) {
		waitFor(t, how+": the end", func() bool { return parts() == 0 })
		if names := append(watch.names("/readings"), append(watch.names("/done"), watch.names("/failed")...)...); len(names) != 0 {
			t.Errorf("%s: there is %q", how, names)
		}
	}
	c, content, ended := begin()
	if err := watch.Stor("/readings/x.ndjson", strings.NewReader(line)); !refuses(err, 553) {
		t.Errorf("while it is being sent: %v", err)
	}
	// The client dies: first the server sees the end of the commands.
	c.conns[0].Close()
	nothing("the client is gone")
	content.CloseWithError(io.ErrClosedPipe)
	<-ended

	c, content, ended = begin() // the line of commands first, and at once the data
	c.conns[0].Close()
	c.conns[len(c.conns)-1].Close()
	content.CloseWithError(io.ErrClosedPipe)
	<-ended
	nothing("both are gone")

	c, content, ended = begin()
	if conn, ok := c.conns[len(c.conns)-1].(*net.TCPConn); ok {
		if err := conn.SetLinger(0); err != nil { // the connection is reset
			t.Fatal(err)
		}
	}
	c.conns[len(c.conns)-1].Close()
	content.CloseWithError(io.ErrClosedPipe)
	<-ended
	nothing("the connection was reset")

	_, content, ended = begin()
	stop()
	nothingLeft := parts()
	content.CloseWithError(io.ErrClosedPipe)
	<-ended
	if nothingLeft != 0 {
		t.Errorf("after the server's end there are %d parts", nothingLeft)
	}
	address, _ = serveFiles(t, ftp.Config{Directory: directory})
	watch = logIn(t, address, client.key)
	watch.put("/readings/x.ndjson", line)
	watch.await("/done/readings/x.ndjson")
	waitFor(t, "the reading", func() bool { return cmp.Equal([]any{1.0}, deviceSamples(t, client, "l1", "temperature")) })
}
