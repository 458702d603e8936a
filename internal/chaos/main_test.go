package chaos

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/internal/devstack"
	"github.com/holon-registry/holon/internal/testkit"
)

// The stage is what all tests share: the stores, and the program. Each test
// has an account and processes of its own.
var stage struct {
	stores *devstack.Stack
	graph  neo4j.DriverWithContext
	holon  string // path of the program
	dir    string
	began  time.Time
}

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	stage.began = time.Now()
	// Senders keep their connections: a flood is of readings, not of handshakes.
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = burstSenders
	if stage.dir, err = os.MkdirTemp("", "holon-chaos-*"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(stage.dir)
	if stage.holon, err = testkit.BuildHolon(stage.dir); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	options := devstack.Options{Dir: filepath.Join(stage.dir, "stores"), Life: devstack.Passing, Log: os.Stderr}
	if os.Getenv("HOLON_CHAOS_MINUTES") == "" {
		options.Life = devstack.Brief
	}
	stage.stores, err = devstack.Start(ctx, options)
	if err != nil {
		return 0, err
	}
	defer stage.stores.Close()
	s := stage.stores
	stage.graph, err = neo4j.NewDriverWithContext(s.URI, neo4j.BasicAuth(s.Username, s.Password, ""))
	if err != nil {
		return 0, err
	}
	defer stage.graph.Close(context.Background())
	return m.Run(), nil
}
