// Command soda-hall loads a building that is described in Brick classes into
// Holon: places as groups in two hierarchies, equipment as assets, points as
// devices, and how they relate. It uses Holon's public protocols only.
//
//	go run ./examples/soda-hall -data DIR
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/holon-registry/holon/examples/internal/api"
)

func main() {
	data := flag.String("data", "", "the folder with "+entitiesFile+" and "+relationsFile)
	check := flag.Bool("check", false, "only report the faults of the data")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *data, *check, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "soda-hall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string, checkOnly bool, out io.Writer) error {
	if folder == "" {
		return errors.New("-data says which folder to load")
	}
	p, err := readBuilding(folder)
	if err != nil {
		return err
	}
	report(out, p.faults)
	fmt.Fprintf(out, "To have: %d templates, %d groups, %d assets, %d devices, %d relations\n",
		len(p.templates()), len(p.groups), len(p.assets), len(p.devices), len(p.facts))
	if checkOnly {
		return nil
	}
	client, err := api.FromEnvironment()
	if err != nil {
		return err
	}
	begin := time.Now()
	s, err := readState(ctx, client)
	if err != nil {
		return err
	}
	w, err := s.missing(p)
	if err != nil {
		return err
	}
	if err := write(ctx, client, s, w); err != nil {
		return fmt.Errorf("%w\nRun it again to go on from here", err)
	}
	summarize(out, p, w)
	fmt.Fprintf(out, "Took %.1f s\n", time.Since(begin).Seconds())
	return verify(ctx, client, p, out)
}

func summarize(out io.Writer, p *plan, w *work) {
	for _, line := range []struct {
		what      string
		all, made int
	}{
		{"templates", len(p.templates()), len(w.templates)}, {"groups", len(p.groups), len(w.groups)}, {"assets", len(p.assets), len(w.assets)},
		{"devices", len(p.devices), len(w.devices)}, {"relations", len(p.facts), len(w.facts)},
	} {
		fmt.Fprintf(out, "%10s: %4d made, %4d already there\n", line.what, line.made, line.all-line.made)
	}
	if w.size() == 0 {
		fmt.Fprintln(out, "Nothing was changed: Holon has all of it already.")
	}
}
