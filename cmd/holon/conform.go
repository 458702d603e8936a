package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holon-registry/holon/conform"
)

// conformCmd tests a program that sends readings.
type conformCmd struct {
	Expect string        `help:"What the program sends: readings, one a line, as POST /v1/readings takes them; - is the standard input." required:"" placeholder:"FILE" type:"path"`
	URL    string        `help:"Where Holon is." default:"http://127.0.0.1:8080" env:"HOLON_URL"`
	Key    string        `help:"An API key to look with at what has arrived; better given by the variable." required:"" env:"HOLON_KEY"`
	Listen string        `help:"Where the program sends to, instead of Holon; port 0 is a free one." default:"127.0.0.1:8099"`
	Within time.Duration `help:"How long to wait for everything." default:"5m"`
	Quiet  time.Duration `help:"How long nothing more may come before it counts as all." default:"5s"`
	Seed   uint64        `help:"Decides about the faults: the same requests meet the same ones." default:"1"`
	Slow   time.Duration `help:"How long a slow answer takes." default:"2s"`
	ready  func(url string)
	out    io.Writer
	// over ends the wait when it is closed.
	over <-chan struct{}
}

// errConduct is the end of a program that does not pass.
var errConduct = errors.New("the program does not keep to the contract of sources: see docs/source-contract.md")

// Run stands between the program and Holon until everything has arrived, or for
// as long as it may take, and says how the program did.
func (c *conformCmd) Run(ctx context.Context, log zerolog.Logger) error {
	target, err := url.Parse(strings.TrimSuffix(c.URL, "/"))
	if err != nil || target.Host == "" {
		return fmt.Errorf("--url is no URL: %q", c.URL)
	}
	if c.out == nil {
		c.out = os.Stdout
	}
	in := io.Reader(os.Stdin)
	if c.Expect != "-" {
		file, err := os.Open(c.Expect)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	expected, err := conform.Expect(in)
	if err != nil {
		return fmt.Errorf("what is expected: %w", err)
	}
	stored := storedSeries(apiClient{url: target.String(), key: c.Key})
	if err := expected.Before(ctx, stored); err != nil {
		return fmt.Errorf("what is there already: %w", err)
	}
	l, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	proxy := conform.NewProxy(conform.Config{Target: target, Seed: c.Seed, Delay: c.Slow})
	serving, stop := context.WithCancel(ctx)
	defer stop()
	group, serving := errgroup.WithContext(serving)
	group.Go(func() error {
		return serveHTTP(serving, l, &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second})
	})
	at := "http://" + l.Addr().String()
	log.Info().Str("url", at).Int("values", expected.Values).Msg("let the program send to this")
	if c.ready != nil {
		c.ready(at)
	}
	outcome, err := c.await(serving, proxy, expected, stored)
	stop()
	if err := errors.Join(err, group.Wait()); err != nil {
		return err
	}
	return printConduct(c.out, proxy.Conduct(), outcome)
}

// await waits until everything has arrived and nothing more comes, or for as long
// as it may take. A request that met a fault is still to come again, though what
// it sends may be there already.
func (c *conformCmd) await(ctx context.Context, proxy *conform.Proxy, expected *conform.Expected, stored conform.Stored) (conform.Outcome, error) {
	deadline := time.Now().Add(c.Within)
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	late := false
	for {
		late = late || time.Now().After(deadline)
		if late || proxy.Quiet(c.Quiet) {
			outcome, err := expected.Check(ctx, stored)
			if err != nil || late || outcome.Complete() && proxy.Conduct().Abandoned == 0 {
				return outcome, err
			}
		}
		select {
		case <-ctx.Done():
			return conform.Outcome{}, ctx.Err()
		case <-c.over:
			late = true
		case <-ticker.C:
		}
	}
}

// storedSeries asks Holon for the values of a series.
func storedSeries(c apiClient) conform.Stored {
	return func(ctx context.Context, s conform.Series) ([]conform.Sample, error) {
		var all []conform.Sample
		from := "2000-01-01T00:00:00Z"
		for {
			var answer struct {
				Device *struct {
					Samples struct {
						At       []time.Time
						Value    []any
						NextFrom *string
					}
				}
			}
			err := c.query(ctx, `query ($device: String!, $measure: String!, $from: DateTime!, $to: DateTime!) {
				device(reference: $device) { samples(measure: $measure, from: $from, to: $to, limit: 50000) { at value nextFrom } } }`,
				map[string]any{"device": s.Device, "measure": s.Measure, "from": from, "to": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, &answer)
			if err != nil {
				return nil, err
			}
			if answer.Device == nil {
				return all, nil
			}
			for i, at := range answer.Device.Samples.At {
				all = append(all, conform.Sample{At: at, Value: answer.Device.Samples.Value[i]})
			}
			if answer.Device.Samples.NextFrom == nil {
				return all, nil
			}
			from = *answer.Device.Samples.NextFrom
		}
	}
}

// printConduct prints how the program did, and fails if it did not do well.
func printConduct(w io.Writer, conduct conform.Conduct, outcome conform.Outcome) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(table, "requests\t%d\n", conduct.Requests)
	for _, fault := range conform.Faults {
		fmt.Fprintf(table, "  %s\t%d\n", fault, conduct.Injected[fault])
	}
	wrong := 0
	row := func(what string, n int, bad bool) {
		verdict := ""
		if bad && n > 0 {
			verdict, wrong = "WRONG", wrong+1
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", what, n, verdict)
	}
	row("sent again", conduct.Retries, false)
	row("  too soon", conduct.Hasty, true)
	row("  with its Idempotency-Key", conduct.KeysKept, false)
	row("  with another one", conduct.KeysChanged, true)
	row("not sent again", conduct.Abandoned, false)
	row("values that arrived", outcome.Right, false)
	row("  lost", outcome.Lost, true)
	row("  not expected", outcome.Doubled, true)
	row("  wrong", outcome.Wrong, true)
	if err := table.Flush(); err != nil {
		return err
	}
	for _, example := range outcome.Examples {
		fmt.Fprintln(w, example)
	}
	if wrong > 0 {
		return errConduct
	}
	fmt.Fprintln(w, "The program keeps to the contract of sources.")
	return nil
}
