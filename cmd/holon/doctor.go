package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/internal/devstack"
	"github.com/holon-registry/holon/registry"
)

type doctorCmd struct {
	graphSettings
	redisSettings
	Data   string `help:"Where holon dev keeps its data." default:".holon" type:"path"`
	Stores bool   `help:"Look at the stores that the settings name, rather than at what holon dev needs."`
}

// finding is one thing that was looked at.
type finding struct{ name, found, problem, remedy string }

// Run prints what was found and fails if anything is wrong.
func (c *doctorCmd) Run(ctx context.Context, log zerolog.Logger) error {
	findings, err := c.look(ctx, log)
	if err != nil {
		return err
	}
	if wrong := printFindings(os.Stdout, findings); wrong > 0 {
		return fmt.Errorf("%d of %d things need attention", wrong, len(findings))
	}
	return nil
}

func (c *doctorCmd) look(ctx context.Context, log zerolog.Logger) ([]finding, error) {
	if c.Stores || os.Getenv("NEO4J_URI") != "" {
		return []finding{c.lookAtGraph(ctx, log), c.lookAtQueue(ctx, log)}, nil
	}
	checks, err := devstack.Check(ctx, devstack.Options{Dir: c.Data})
	if err != nil {
		return nil, err
	}
	findings := make([]finding, len(checks))
	for i, f := range checks {
		findings[i] = finding{f.Name, f.Found, f.Problem, f.Remedy}
	}
	return findings, nil
}

func (c *doctorCmd) lookAtGraph(ctx context.Context, log zerolog.Logger) finding {
	f := finding{name: "neo4j", found: c.URI}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	store, err := c.open(ctx, log, newMetrics())
	if err != nil {
		f.problem, f.remedy = explain(err), "check NEO4J_URI, NEO4J_USERNAME and NEO4J_PASSWORD, and that Neo4j runs"
		return f
	}
	defer store.Close(context.WithoutCancel(ctx))
	if err := store.CheckMigrated(ctx); err != nil {
		f.problem, f.remedy = explain(err), "run holon migrate"
	}
	return f
}

func (c *doctorCmd) lookAtQueue(ctx context.Context, log zerolog.Logger) finding {
	f := finding{name: "redis", found: c.queueURL()}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	queue, err := ingest.Open(ctx, ingest.QueueConfig{URL: c.queueURL(), Partitions: 1, Logger: log})
	if err == nil {
		f.problem = ""
		queue.Close()
		return f
	}
	f.problem, f.remedy = explain(err), "check REDIS_URL and REDIS_QUEUE_URL, and that Redis runs"
	if e, ok := errors.AsType[*registry.Error](err); ok && e.Code == registry.CodeFailedPrecondition {
		f.remedy = "set appendonly yes, appendfsync always and maxmemory-policy noeviction, or accept the loss with --allow-volatile-queue"
	}
	return f
}

func printFindings(w io.Writer, findings []finding) (wrong int) {
	for _, f := range findings {
		if f.problem == "" {
			fmt.Fprintf(w, "  ok     %-10s %s\n", f.name, f.found)
			continue
		}
		wrong++
		fmt.Fprintf(w, "  WRONG  %-10s %s\n         %-10s → %s\n", f.name, f.problem, "", f.remedy)
	}
	return wrong
}
