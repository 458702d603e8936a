// Package freeport finds TCP ports on 127.0.0.1 for programs that are started a
// moment later, and perhaps again after they were killed.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Ports are drawn from below those that operating systems give to outgoing
// connections (from 32768 on with Linux, from 49152 on elsewhere): one of those
// can be gone before the program that it was meant for listens there.
const (
	first = 10_240
	// Last is the highest port that is taken.
	Last = 32_767
)

// tries bounds the search: some of the ports may be taken, hardly most.
const tries = 1000

// Port is a TCP port that no other holder of a Port has, in any process.
type Port struct {
	// Number is that of the port.
	Number int
	// kept is the UDP port of the same number: programs here listen for TCP only,
	// so it tells other processes that the number is spoken for, and is free again
	// when this process ends, however it ends.
	kept net.PacketConn
}

// Take finds a port that nothing listens on, at most max, or any if max is 0.
func Take(max int) (*Port, error) {
	if max == 0 {
		max = Last
	}
	for range tries {
		p, err := take(first + rand.IntN(min(max, Last)-first+1))
		switch {
		case err == nil:
			return p, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("find a free port: %w", err)
		}
	}
	return nil, fmt.Errorf("find a free port: none of %d from %d to %d is free", tries, first, max)
}

func take(number int) (*Port, error) {
	p := &Port{Number: number}
	kept, err := net.ListenPacket("udp4", p.Addr())
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", p.Addr())
	if err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	p.kept = kept
	return p, l.Close()
}

// Addr is the address that a program listens on.
func (p *Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Release lets others take the port.
func (p *Port) Release() error { return p.kept.Close() }
