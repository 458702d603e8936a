package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

type exportCmd struct {
	accountSettings
	File         string     `arg:"" optional:"" help:"Where to write to; - is the standard output. A name that ends in .gz is compressed." default:"-" type:"path"`
	Measurements bool       `help:"Export measurements too."`
	From         *time.Time `help:"Only measurements from then on (RFC 3339)." placeholder:"TIME"`
	To           *time.Time `help:"Only measurements before then (RFC 3339)." placeholder:"TIME"`
	Plain        bool       `help:"Leave out ids, versions and times of objects, to compare accounts by their files."`
	TempDir      string     `help:"Where temporary files go, about as large as the export; beside the file if empty." placeholder:"DIR" type:"path"`
	Quiet        bool       `short:"q" help:"Show no progress."`
}

// Run writes an account to a file.
func (c *exportCmd) Run(ctx context.Context, log zerolog.Logger) (err error) {
	if (c.From != nil || c.To != nil) && !c.Measurements {
		return errors.New("--from and --to narrow measurements: say --measurements too")
	}
	store, scope, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx))
	out, err := createOutput(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.end(err == nil)) }()
	e := &transfer.Exporter{Source: store, Scope: scope, Plain: c.Plain, Dir: c.TempDir}
	if e.Dir == "" && out.file != nil {
		e.Dir = filepath.Dir(c.File)
	}
	if c.Measurements {
		e.Measurements = &transfer.Interval{From: c.From, To: c.To}
	}
	if !c.Quiet {
		shown := newProgress("exporting", 0)
		defer shown.end()
		e.Progress = func(kind registry.RecordKind, n int) { shown.say(fmt.Sprintf("%d %s records", n, kind)) }
	}
	header, err := e.Export(ctx, out)
	if err != nil {
		return err
	}
	if !c.Quiet {
		total := 0
		for _, n := range header.Records {
			total += n
		}
		fmt.Fprintf(os.Stderr, "exported %d records of account %s", total, scope.AccountName)
		if !c.Plain {
			fmt.Fprintf(os.Stderr, " as of change %d", header.Position)
		}
		fmt.Fprintln(os.Stderr)
	}
	return nil
}

// output is a file that appears under its name only once it is whole.
type output struct {
	io.Writer
	file *os.File
	gzip *gzip.Writer
	name string
}

func createOutput(name string) (*output, error) {
	if name == "-" || name == "" {
		return &output{Writer: os.Stdout}, nil
	}
	file, err := os.OpenFile(name+".partial", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	o := &output{Writer: file, file: file, name: name}
	if strings.HasSuffix(name, ".gz") {
		o.gzip = gzip.NewWriter(file)
		o.Writer = o.gzip
	}
	return o, nil
}

// end gives the file its name, or takes it away if it is not whole.
func (o *output) end(whole bool) error {
	if o.file == nil {
		return nil
	}
	var errs []error
	if o.gzip != nil {
		errs = append(errs, o.gzip.Close())
	}
	errs = append(errs, o.file.Sync(), o.file.Close())
	if err := errors.Join(errs...); err != nil || !whole {
		return errors.Join(err, os.Remove(o.file.Name()))
	}
	return os.Rename(o.file.Name(), o.name)
}
