package devstack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/holon-registry/holon/internal/freeport"
)

// portTries is how often another free port is tried: between finding one and
// the store taking it, another program on the machine may have got it.
const portTries = 3

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePort finds a TCP port on 127.0.0.1. It stays reserved until this process
// ends: a store that was killed is started again where it was.
func freePort() (int, error) {
	p, err := freeport.Take(0)
	if err != nil {
		return 0, err
	}
	return p.Number, nil
}

// portsFree refuses ports that were asked for and are taken.
func portsFree(o Options) error {
	if o.Neo4jPort != 0 && o.Neo4jPort == o.RedisPort {
		return fmt.Errorf("port %d was given for both Neo4j and Redis", o.Neo4jPort)
	}
	return errors.Join(portFree("Neo4j", o.Neo4jPort), portFree("Redis", o.RedisPort))
}

func portFree(name string, port int) error {
	if port == 0 {
		return nil
	}
	l, err := net.Listen("tcp", address(port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return portInUse(name, port)
	case err != nil:
		return fmt.Errorf("port %d for %s: %w", port, name, err)
	}
	return l.Close()
}

func portInUse(name string, port int) error {
	return fmt.Errorf("port %d for %s is already in use: stop what uses it, choose another, or 0 for a free one", port, name)
}

// portTaken tells whether a store ended because its port was not free. Both
// stores pass on the operating system's words.
func portTaken(e *endedError) bool {
	return strings.Contains(strings.ToLower(e.output), "address already in use")
}

// lockHeld tells whether Neo4j ended because another process holds its data.
func lockHeld(e *endedError) bool {
	return strings.Contains(e.output, "locked by another process")
}
