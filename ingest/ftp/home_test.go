package ftp

import (
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newQuota() *quota { return &quota{most: 1 << 20, turn: make(chan struct{}, 1)} }

// newHome opens a home in a new directory, or again.
func newHome(t *testing.T, directory string) *home {
	t.Helper()
	h, err := openHome(directory, "home", newQuota())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.root.Close() })
	return h
}

func (h *home) put(t *testing.T, name, content string) {
	t.Helper()
	if err := makeFolder(h.root, path.Dir(name)); err != nil {
		t.Fatal(err)
	}
	if err := h.root.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newServer() *Server {
	return &Server{c: Config{Clock: func() time.Time { return noon }, Keep: time.Hour, Logger: zerolog.Nop()}, homes: map[string]*home{}, quotas: map[string]*quota{}}
}

// TestFree finds names where files and folders have those of each other.
func TestFree(t *testing.T) {
	t.Parallel()
	s, h := newServer(), newHome(t, t.TempDir())
	h.put(t, "files/done/readings/log", "a file")
	h.put(t, "files/done/readings/april", "a file")
	h.put(t, "files/done/readings/day/x", "in a folder")
	h.put(t, "files/failed/readings/y.report.ndjson", "a report")
	h.put(t, "files/failed/readings/z.report.ndjson", "a report")
	for name, want := range map[string]string{
		"done/readings/new":                 "done/readings/new",
		"done/readings/log":                 "done/readings/20260501T120000.000Z-log",
		"done/readings/april/in/x":          "done/readings/20260501T120000.000Z-april/in/x",
		"done/readings/day":                 "done/readings/20260501T120000.000Z-day",
		"done/readings/day/x":               "done/readings/day/20260501T120000.000Z-x",
		"failed/readings/y":                 "failed/readings/20260501T120000.000Z-y",
		"failed/readings/z.report.ndjson/x": "failed/readings/20260501T120000.000Z-z.report.ndjson/x",
	} {
		got, err := s.free(h.root, name)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
			continue
		}
		h.put(t, "files/"+got, "it fits")
		again, err := s.free(h.root, got)
		if err != nil || again == got || strings.Contains(again, "Z-20260501") {
			t.Errorf("%s again: %q, %v", name, again, err)
		}
	}
}

// TestPutAwayTwice finds a file that was moved before its state was removed: its
// name is not free before that, and what comes then stays.
func TestPutAwayTwice(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	first := newHome(t, directory)
	moved := &state{Path: "readings/x", To: "done/readings/x", ReceivedAt: noon}
	if err := moved.save(first.root); err != nil {
		t.Fatal(err)
	}
	first.put(t, "files/done/readings/x", "old")
	first.put(t, "files/readings/nobodys", "not known who sent it")
	first.put(t, "files/readings/late.tmp", "to be renamed")
	s, h := newServer(), newHome(t, directory)
	if !slices.Equal(h.lost, []string{"readings/nobodys"}) {
		t.Errorf("lost: %q", h.lost)
	}
	waiting := h.quota.waiting()
	if err := h.begin("readings/x"); err == nil {
		t.Fatal("its name is free")
	}
	if err := s.putAway(h, h.next()); err != nil {
		t.Fatal(err)
	}
	h.forget(h.next())
	if given := waiting - h.quota.waiting(); given != fileCost {
		t.Errorf("given back: %d", given)
	}
	if err := h.begin("readings/x"); err != nil {
		t.Fatal(err)
	}
	h.put(t, "state/new.part", "new")
	if err := h.complete("state/new.part", "readings/x", 3, &registry.Principal{}, noon); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"files/readings/x": "new", "files/done/readings/x": "old"} {
		if got, err := h.root.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestOneName gives many files one name at once: one gets it, and the others stay.
func TestOneName(t *testing.T) {
	t.Parallel()
	h := newHome(t, t.TempDir())
	const n = 16
	for i := range n {
		from := "readings/" + strconv.Itoa(i) + ".tmp"
		h.put(t, "files/"+from, from)
		h.sizes[from] = int64(len(from))
	}
	var renaming sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		renaming.Go(func() {
			errs[i] = h.finish("readings/"+strconv.Itoa(i)+".tmp", "readings/x", &registry.Principal{}, noon)
		})
	}
	renaming.Wait()
	named := 0
	for i, err := range errs {
		from := "readings/" + strconv.Itoa(i) + ".tmp"
		if err == nil {
			named++
			if got, err := h.root.ReadFile("files/readings/x"); err != nil || string(got) != from {
				t.Errorf("%s: %q, %v", from, got, err)
			}
			continue
		}
		if _, err := h.root.Lstat("files/" + from); err != nil || !strings.Contains(errs[i].Error(), "is there already") {
			t.Errorf("%s: %v, %v", from, errs[i], err)
		}
	}
	if named != 1 || len(h.waiting) != 1 || len(h.sizes) != n {
		t.Errorf("%d were renamed, %d wait, %d are there", named, len(h.waiting), len(h.sizes))
	}
	// A name below a file can be given to none, and leaves nothing.
	if err := h.finish("readings/"+strconv.Itoa(slices.IndexFunc(errs, func(err error) bool { return err != nil }))+".tmp", "readings/x/y", &registry.Principal{}, noon); err == nil {
		t.Error("a file is a folder")
	}
	if left, err := fs.Glob(h.root.FS(), "state/*"); err != nil || len(left) != 1 {
		t.Errorf("states: %q, %v", left, err)
	}
}

// TestDiskFaults tells a disk that cannot be read from a file that is no good.
func TestDiskFaults(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	d := &disk{in: iotest.ErrReader(broken)}
	if _, err := unpack(d, "x.gz", 1); err == nil || !errors.Is(d.err, broken) {
		t.Errorf("%v, %v", err, d.err)
	}
	d = &disk{in: strings.NewReader("this is not packed")}
	if _, err := unpack(d, "x.gz", 1); !errors.Is(err, gzip.ErrHeader) || d.err != nil {
		t.Errorf("%v, %v", err, d.err)
	}
}

// TestIdleHomes closes a home that has nothing in it and no session.
func TestIdleHomes(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.c.Directory, s.c.MaxWaiting = t.TempDir(), 1<<20
	open := func() *home {
		t.Helper()
		h, err := s.home("account.key")
		if err != nil {
			t.Fatal(err)
		}
		h.begun = true
		return h
	}
	closes := func(what string, h *home, want bool) {
		t.Helper()
		if err := s.closeIdle(h); err != nil {
			t.Fatal(err)
		}
		closed := false
		select {
		case <-h.gone:
			closed = true
		default:
		}
		if closed != want || (s.homes[h.name] == nil) != want {
			t.Errorf("%s: closed is %v", what, closed)
		}
	}
	h := open()
	closes("a session", h, false)
	s.leave(h)
	h.put(t, "files/done/readings/x", "kept")
	closes("a file that is kept", h, false)
	if err := os.Remove(filepath.Join(s.c.Directory, "account.key/files/done/readings/x")); err != nil {
		t.Fatal(err)
	}
	if err := h.begin("readings/y"); err != nil {
		t.Fatal(err)
	}
	closes("an upload", h, false)
	h.end("readings/y", 0)
	closes("nothing", h, true)
	if again := open(); again == h || again.begin("readings/y") != nil {
		t.Error("it is not opened again")
	}
	if err := s.closeHomes(); err != nil {
		t.Fatal(err)
	}
}
