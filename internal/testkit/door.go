package testkit

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Door is a way to the Redis of the tests that can be shut.
type Door struct {
	// URL leads to Redis through the door.
	URL    string
	target string
	mu     sync.Mutex
	isShut bool
	conns  map[net.Conn]bool
}

// NewDoor makes an open door.
func NewDoor(t testing.TB) *Door {
	t.Helper()
	to, err := url.Parse(RedisURL(t))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{target: to.Host, conns: map[net.Conn]bool{}}
	to.Host = listener.Addr().String()
	d.URL = to.String()
	t.Cleanup(func() { listener.Close(); d.Shut() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.pass(conn)
		}
	}()
	return d
}

func (d *Door) pass(conn net.Conn) {
	defer conn.Close()
	d.mu.Lock()
	if d.isShut {
		d.mu.Unlock()
		return
	}
	back, err := net.Dial("tcp", d.target)
	if err != nil {
		d.mu.Unlock()
		return
	}
	d.conns[conn], d.conns[back] = true, true
	d.mu.Unlock()
	defer func() {
		back.Close()
		d.mu.Lock()
		delete(d.conns, conn)
		delete(d.conns, back)
		d.mu.Unlock()
	}()
	go func() { io.Copy(back, conn); back.Close() }()
	io.Copy(conn, back)
}

// Shut cuts every connection and lets none through.
func (d *Door) Shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isShut = true
	for c := range d.conns {
		c.Close()
	}
}

// Open lets connections through again.
func (d *Door) Open() {
	d.mu.Lock()
	d.isShut = false
	d.mu.Unlock()
}
