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

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/decode"
	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

// importReadingsCmd hands the readings of a file in some format to the queue.
type importReadingsCmd struct {
	accountSettings
	redisSettings
	File     string `arg:"" help:"What to import: CSV with a row of names, or a payload a line; - is the standard input. A name that ends in .gz is unpacked." type:"path"`
	Template string `help:"Decode as this template of devices says." placeholder:"NAME" xor:"how"`
	Decoder  string `help:"Decode with this decoder: json, csv, cayenne or senml; or readings, for lines as POST /v1/readings takes them." placeholder:"NAME" xor:"how"`
	Options  string `help:"The decoder's options: a file with a JSON object." placeholder:"FILE" type:"existingfile"`
	Device   string `help:"The device that all readings are of; otherwise the file names devices." placeholder:"REFERENCE"`
	DryRun   bool   `help:"Decode all of it, and hand over nothing."`
	Report   string `help:"Write each line that was refused to this file, as JSON lines." placeholder:"FILE" type:"path"`
	State    string `help:"Where to keep how far the import has come; beside the file if empty, nowhere with - as the file." placeholder:"FILE" type:"path"`
	Quiet    bool   `short:"q" help:"Show no progress."`
}

// plainReadings stands for a decoder where a file has readings as they are.
const plainReadings = "readings"

// fileImport is one run of the command.
type fileImport struct {
	command *importReadingsCmd
	to      *importRecorder
	state   transfer.State
	path    string
	shown   *progress
	report  *json.Encoder
}

// Run imports the file, from where an interrupted import of it was.
func (c *importReadingsCmd) Run(ctx context.Context, log zerolog.Logger) (err error) {
	store, scope, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx))
	decoder, err := c.decoder(ctx, store, scope)
	if err != nil {
		return err
	}
	run := &fileImport{command: c, to: &importRecorder{settings: c.redisSettings, log: log, graph: store, scope: scope}}
	defer run.to.close()
	if c.Report != "" {
		file, err := os.Create(c.Report)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		run.report = json.NewEncoder(file)
		run.report.SetEscapeHTML(false)
	}
	began := time.Now()
	in, end, err := run.openFile(scope)
	if err != nil {
		return err
	}
	defer end()
	err = run.all(ctx, decoder, in)
	if run.shown != nil {
		run.shown.end()
	}
	if err != nil {
		return err
	}
	sum := run.state.Sum
	if !c.Quiet {
		verb := "in the queue for the workers"
		if c.DryRun {
			verb = "can be imported"
		}
		fmt.Fprintf(os.Stderr, "%d readings %s, %d lines refused (%s)\n", sum.Readings, verb, sum.Refused, time.Since(began).Round(time.Millisecond))
	}
	if run.path != "" {
		if err := removeIfThere(run.path); err != nil {
			return err
		}
	}
	if sum.Refused > 0 {
		return refusedError{sum.Refused}
	}
	return nil
}

// decoder makes the decoder that the command says.
func (c *importReadingsCmd) decoder(ctx context.Context, store *graph.Store, scope registry.Scope) (decode.Decoder, error) {
	if (c.Template == "") == (c.Decoder == "") {
		return nil, errors.New("say how to decode the file: with --template, or with --decoder and --options")
	}
	if c.Decoder == plainReadings {
		return nil, nil //nolint:nilnil // readings need no decoder
	}
	var declared registry.TemplateDecoder
	var template *registry.Template
	if c.Template != "" {
		var err error
		if template, err = store.Template(ctx, scope, registry.KindDevice, c.Template, nil, nil); err != nil {
			return nil, err
		}
		if template.Decoder == nil {
			return nil, fmt.Errorf("template %s has no decoder: give --decoder and --options", template.Name)
		}
		declared = *template.Decoder
	} else {
		declared.Name = c.Decoder
		if c.Options != "" {
			text, err := os.ReadFile(c.Options)
			if err == nil {
				err = json.Unmarshal(text, &declared.Options)
			}
			if err != nil {
				return nil, fmt.Errorf("the options of the decoder: %w", err)
			}
		}
	}
	decoder, violations := decode.New(declared, template)
	if len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	return decoder, nil
}

// openFile opens the file, and finds out how far an earlier import of it came.
func (f *fileImport) openFile(scope registry.Scope) (in io.Reader, end func(), err error) {
	c := f.command
	if c.File == "-" {
		return os.Stdin, func() {}, nil
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, nil, err
	}
	end = func() { _ = file.Close() } // it was only read
	defer func() {
		if err != nil {
			end()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	all := info.Size()
	in = file
	if strings.HasSuffix(c.File, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return nil, nil, err
		}
		all = 0
	}
	if !c.Quiet {
		f.shown = newProgress("importing", all)
	}
	if c.DryRun {
		return in, end, nil
	}
	print, err := transfer.Fingerprint(file)
	if err != nil {
		return nil, nil, err
	}
	if f.path = c.State; f.path == "" {
		f.path = c.File + ".import-state"
	}
	f.state, err = transfer.LoadState(f.path, transfer.State{Account: scope.Account, File: print, Options: "readings " + c.Template + " " + c.Decoder + " " + c.Options + " " + c.Device})
	if err == nil && f.state.Line > 0 && !c.Quiet {
		fmt.Fprintf(os.Stderr, "going on after line %d\n", f.state.Line)
	}
	return in, end, err
}

// all decodes the file and hands over what it holds, batch by batch.
func (f *fileImport) all(ctx context.Context, decoder decode.Decoder, in io.Reader) error {
	c := f.command
	return f.to.take(ctx, ingest.File{
		Decoder: decoder, Template: c.Template, Device: c.Device, ReceivedAt: time.Now(),
		After: f.state.Line, Rehearse: c.DryRun, Refused: f.refused, Taken: f.taken,
	}, in)
}

// refused tells of a line that cannot be used.
func (f *fileImport) refused(fault ingest.LineFault) error {
	fmt.Printf("line %d: refused: %s\n", fault.Line, fault.Message)
	if f.report == nil {
		return nil
	}
	return f.report.Encode(struct {
		Line    int                       `json:"line"`
		Result  string                    `json:"result"`
		Message string                    `json:"message"`
		Code    registry.DeadLetterReason `json:"code"`
	}{fault.Line, string(registry.RestoreRefused), fault.Message, fault.Reason})
}

// taken notes how far the file has come.
func (f *fileImport) taken(p ingest.FileProgress) error {
	f.state.Sum.Readings += p.Readings
	f.state.Sum.Refused += p.Refused
	if f.shown != nil {
		f.shown.at(p.Offset, fmt.Sprintf("line %d", p.Line))
	}
	if f.path == "" {
		return nil
	}
	f.state.Line, f.state.Offset = p.Line, p.Offset
	return f.state.Save(f.path)
}
