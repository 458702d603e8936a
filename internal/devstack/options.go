package devstack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Options say where the stores keep their data and how much memory they may use.
type Options struct {
	// Dir is the data directory, for example ".holon". It is made when missing
	// and has a folder for each store.
	Dir string
	// Neo4jPort and RedisPort are the TCP ports on 127.0.0.1; 0 takes a free one.
	Neo4jPort, RedisPort int
	// Neo4jPassword is the password of the user "neo4j", 8 characters or more.
	// When empty, one is generated once and kept in Dir for later starts.
	Neo4jPassword string
	// RedisOnly leaves Neo4j out.
	RedisOnly bool
	// NoAuth lets everybody on this machine in without a password: for tests.
	NoAuth bool
	// HeapMB and PageCacheMB are Neo4j's memory in mebibytes; 0 means 512 and 256.
	HeapMB, PageCacheMB int
	// Life is how long the stores are there for, Lasting if nothing else is said.
	Life Life
	// Reset removes the stored data first. What Maven resolved and the password stay.
	Reset bool
	// Log receives a few lines on progress, written for people; nil drops them.
	// The stores' own output goes to files in Dir.
	Log io.Writer
}

// Life is how long stores are there for: what pays off over days costs more than
// it returns in minutes.
type Life int

const (
	// Lasting stores may fill up and stay.
	Lasting Life = iota
	// Passing stores are gone within the hour, as in tests. Neo4j keeps the plans
	// that it made for an empty database, where it otherwise plans again as soon as
	// there is more, and the JVM collects garbage without threads of their own:
	// together that saves a third of the processor time.
	Passing
	// Brief stores are Passing, but are gone in minutes or started again and again:
	// the JVM compiles quickly rather than well, too, which saves a third to a half
	// of a start and of the minutes after it.
	Brief
)

const (
	defaultHeapMB      = 512
	defaultPageCacheMB = 256
	// jvmRestMB is what a JVM with Neo4j takes besides heap and page cache
	// (class data, compiled code, threads, network buffers), with Redis on top.
	jvmRestMB = 732
)

// complete returns the options with defaults filled in and Dir made absolute.
func (o Options) complete() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("no data directory given for the local stores")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	o.Dir = dir
	if o.HeapMB == 0 {
		o.HeapMB = defaultHeapMB
	}
	if o.PageCacheMB == 0 {
		o.PageCacheMB = defaultPageCacheMB
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	o.Log = &lineWriter{to: o.Log}
	return o, nil
}

// memoryMB is the free memory that a start with these options needs, in mebibytes.
func (o Options) memoryMB() int { return o.HeapMB + o.PageCacheMB + jvmRestMB }

// lineWriter lets the two stores, which start at the same time, share one writer.
type lineWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(line)
}

// resetData removes what the stores wrote, and only that.
func resetData(dir string) error {
	for _, folder := range []string{"neo4j", "redis"} {
		if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
			return fmt.Errorf("reset %s: %w", dir, err)
		}
	}
	return nil
}
