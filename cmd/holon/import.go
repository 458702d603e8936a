package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

type importCmd struct {
	accountSettings
	redisSettings
	Files      []string `arg:"" help:"What to import; - is the standard input. With --from cdf and --from dtdl several files, or directories of .json files." type:"path"`
	From       string   `help:"Whose files they are: holon, cdf (AWS CDF Asset Library) or dtdl (DTDL interfaces)." enum:"holon,cdf,dtdl" default:"holon"`
	DryRun     bool     `help:"Change nothing, and say for each record what would be done."`
	KeepIDs    bool     `name:"keep-ids" help:"Give objects the ids, versions and times of their records."`
	SendQueued bool     `help:"Commands that waited to be sent wait on, and are sent. Only if nothing else sends them, nor has since the file was written."`
	Report     string   `help:"Write what became of each record to this file, as JSON lines." placeholder:"FILE" type:"path"`
	State      string   `help:"Where to keep how far the import has come; beside the file if empty, nowhere with - as the file." placeholder:"FILE" type:"path"`
	Quiet      bool     `short:"q" help:"Show no progress."`
	Draft      bool     `help:"With --from dtdl: leave the templates drafts."`
}

// refusedError says that some records were refused: the import went through, and
// its exit status is 2.
type refusedError struct{ n int }

// Error implements error.
func (e refusedError) Error() string { return fmt.Sprintf("%d records were refused", e.n) }

// ExitCode is the status that the command ends with.
func (e refusedError) ExitCode() int { return 2 }

// Run makes an account's objects of files.
func (c *importCmd) Run(ctx context.Context, log zerolog.Logger) (err error) {
	memories := &importMemories{settings: c.redisSettings, log: log}
	defer memories.close()
	store, scope, target, err := c.account(ctx, log, memories)
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx))
	readings := &importRecorder{settings: c.redisSettings, log: log, graph: store, scope: scope}
	defer readings.close()
	shown := &importReport{dryRun: c.DryRun, out: os.Stdout}
	if c.Report != "" {
		file, err := os.OpenFile(c.Report, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		shown.file = json.NewEncoder(file)
		shown.file.SetEscapeHTML(false)
	}
	m := &transfer.Importer{
		Target: target, Recorder: readings, Rehearse: c.DryRun, Report: shown.outcome,
	}
	began := time.Now()
	sum, err := c.run(ctx, m, scope)
	if err == nil {
		err = shown.err
	}
	if !c.Quiet {
		verb := "imported"
		if c.DryRun {
			verb = "would be"
		}
		fmt.Fprintf(os.Stderr, "%s: %d made, %d changed, %d unchanged, %d refused", verb, sum.Made, sum.Changed, sum.Unchanged, sum.Refused)
		if sum.Notes > 0 {
			fmt.Fprintf(os.Stderr, ", %d notes", sum.Notes)
		}
		if sum.Readings > 0 {
			fmt.Fprintf(os.Stderr, ", %d readings in the queue for the workers", sum.Readings)
		}
		fmt.Fprintf(os.Stderr, " (%s)\n", time.Since(began).Round(time.Millisecond))
	}
	if err == nil && sum.Refused > 0 {
		err = refusedError{sum.Refused}
	}
	return err
}

// account opens the store and finds the account, which is made if there is none
// of the name; a dry run does as if it had been.
func (c *importCmd) account(ctx context.Context, log zerolog.Logger, memories *importMemories) (_ *graph.Store, scope registry.Scope, target *graph.Restorer, err error) {
	store, err := c.graphSettings.open(ctx, log, prometheus.NewRegistry())
	if err != nil {
		return nil, scope, nil, err
	}
	defer func() {
		if err != nil {
			store.Close(context.WithoutCancel(ctx))
		}
	}()
	check := store.CheckMigrated
	if c.DryRun {
		check = store.CheckMigratedOrEmpty
	}
	if err := check(ctx); err != nil {
		return nil, scope, nil, err
	}
	options := graph.RestoreOptions{KeepIDs: c.KeepIDs, Rehearse: c.DryRun, SendQueued: c.SendQueued, Forget: memories.forget}
	var account *registry.Account
	if c.DryRun {
		account, err = store.AccountByName(ctx, c.Account)
		if registry.CodeOf(err) == registry.CodeNotFound {
			target, err = store.NewAccountRehearsal(c.Account, options)
			return store, scope, target, err
		}
	} else {
		account, _, err = store.EnsureAccount(ctx, c.Account)
	}
	if err != nil {
		return nil, scope, nil, err
	}
	scope = registry.Scope{Account: account.ID, AccountName: account.Name, ActorName: "holon import"}
	return store, scope, store.NewRestorer(scope, options), nil
}

func (c *importCmd) run(ctx context.Context, m *transfer.Importer, scope registry.Scope) (transfer.Sum, error) {
	switch c.From {
	case "cdf":
		return c.converted(ctx, m, transfer.CDF)
	case "dtdl":
		return c.converted(ctx, m, func(files []transfer.NamedReader) (transfer.Feed, error) {
			return transfer.DTDL(files, !c.Draft)
		})
	}
	if len(c.Files) != 1 {
		return transfer.Sum{}, errors.New("one file at a time is imported")
	}
	if c.Files[0] == "-" {
		if err := c.clearReport(); err != nil {
			return transfer.Sum{}, err
		}
		return m.Import(ctx, transfer.Lines(os.Stdin, 0, 0), transfer.Sum{})
	}
	file, err := os.Open(c.Files[0])
	if err != nil {
		return transfer.Sum{}, err
	}
	defer file.Close()
	return c.file(ctx, m, scope, file)
}

// file imports a file in Holon's own format, from where an interrupted import
// of it was.
func (c *importCmd) file(ctx context.Context, m *transfer.Importer, scope registry.Scope, file *os.File) (transfer.Sum, error) {
	print, err := transfer.Fingerprint(file)
	if err != nil {
		return transfer.Sum{}, err
	}
	state := transfer.State{Account: scope.Account, File: print, Options: fmt.Sprintf("keep-ids=%t", c.KeepIDs)}
	if c.SendQueued {
		state.Options += " send-queued"
	}
	path := c.State
	if path == "" {
		path = c.Files[0] + ".import-state"
	}
	if !c.DryRun {
		if state, err = transfer.LoadState(path, state); err != nil {
			return transfer.Sum{}, err
		}
	}
	var in io.Reader = file
	info, err := file.Stat()
	if err != nil {
		return transfer.Sum{}, err
	}
	all := info.Size()
	if strings.HasSuffix(c.Files[0], ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return transfer.Sum{}, err
		}
		all = 0
	}
	if _, err := io.CopyN(io.Discard, in, state.Offset); err != nil {
		return transfer.Sum{}, err
	}
	if state.Line == 0 {
		if err := c.clearReport(); err != nil {
			return transfer.Sum{}, err
		}
	} else if !c.Quiet {
		fmt.Fprintf(os.Stderr, "going on after line %d\n", state.Line)
	}
	var shown *progress
	if !c.Quiet {
		shown = newProgress("importing", all)
		defer shown.end()
	}
	m.Done = func(last transfer.Item, sum transfer.Sum) error {
		if shown != nil {
			shown.at(last.Offset, fmt.Sprintf("line %d", last.Line))
		}
		if c.DryRun {
			return nil
		}
		state.Line, state.Offset, state.Sum = last.Line, last.Offset, sum
		return state.Save(path)
	}
	sum, err := m.Import(ctx, transfer.Lines(in, state.Line, state.Offset), state.Sum)
	if err == nil && !c.DryRun {
		err = removeIfThere(path)
	}
	return sum, err
}

// clearReport empties the report of an import that begins from the start; one
// that goes on adds to what it has reported.
func (c *importCmd) clearReport() error {
	if info, err := os.Stat(c.Report); err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // there is no report, or it is a pipe
	}
	return os.Truncate(c.Report, 0)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// converted imports files of another system.
func (c *importCmd) converted(ctx context.Context, m *transfer.Importer, convert func([]transfer.NamedReader) (transfer.Feed, error)) (transfer.Sum, error) {
	files, end, err := openFiles(c.Files)
	defer end()
	if err == nil {
		err = c.clearReport()
	}
	if err != nil {
		return transfer.Sum{}, err
	}
	feed, err := convert(files)
	if err != nil {
		return transfer.Sum{}, err
	}
	if !c.Quiet {
		shown := newProgress("importing", 0)
		defer shown.end()
		m.Done = func(_ transfer.Item, sum transfer.Sum) error {
			shown.say(fmt.Sprintf("%d records", sum.Made+sum.Changed+sum.Unchanged+sum.Refused))
			return nil
		}
	}
	return m.Import(ctx, feed, transfer.Sum{})
}
