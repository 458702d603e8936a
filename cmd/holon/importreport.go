package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

// importReport tells what became of records: on the standard output those that
// were refused or lost something, in a dry run also what would be done, and all
// of them in the file.
type importReport struct {
	dryRun bool
	out    io.Writer
	file   *json.Encoder
	err    error
}

func (r *importReport) outcome(o transfer.Outcome) {
	if r.file != nil && r.err == nil {
		r.err = r.file.Encode(o)
	}
	where := fmt.Sprintf("line %d", o.Line)
	if o.Origin != "" {
		where = o.Origin
	}
	if o.Result == registry.RestoreRefused || r.dryRun && (o.Result == registry.RestoreMade || o.Result == registry.RestoreChanged) {
		fmt.Fprintf(r.out, "%s: %s", where, o.Result)
		if o.Record != "" {
			fmt.Fprintf(r.out, " %s %s", o.Record, o.Key)
		}
		if o.Message != "" && len(o.Violations) == 0 {
			fmt.Fprintf(r.out, ": %s", o.Message)
		}
		fmt.Fprintln(r.out)
		for _, v := range o.Violations {
			fmt.Fprintf(r.out, "    %s: %s\n", v.Path, v.Message)
		}
	}
	for _, note := range o.Notes {
		fmt.Fprintf(r.out, "%s: note %s\n", where, note)
	}
}

// openFiles opens files, and the .json files of directories; end closes them.
func openFiles(paths []string) (files []transfer.NamedReader, end func(), err error) {
	var open []*os.File
	end = func() {
		for _, f := range open {
			f.Close()
		}
	}
	for _, path := range paths {
		if path == "-" {
			files = append(files, transfer.NamedReader{Name: "standard input", Reader: os.Stdin})
			continue
		}
		names := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if names, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil {
				return nil, end, err
			}
			slices.Sort(names)
		}
		for _, name := range names {
			f, err := os.Open(name)
			if err != nil {
				return nil, end, err
			}
			open = append(open, f)
			files = append(files, transfer.NamedReader{Name: filepath.Base(name), Reader: f})
		}
	}
	return files, end, nil
}
