package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far long work has come: a bar on a terminal, a line every
// few seconds elsewhere.
type progress struct {
	what string
	all  int64
	bar  *progressbar.ProgressBar
	next time.Time
}

// newProgress shows work of a known size, or of an unknown one if all is 0.
func newProgress(what string, all int64) *progress {
	p := &progress{what: what, all: all, next: time.Now().Add(time.Second)}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		size := all
		if size == 0 {
			size = -1
		}
		p.bar = progressbar.NewOptions64(size, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetWidth(20),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetDescription(what))
	}
	return p
}

// say shows a text, where the size is not known.
func (p *progress) say(text string) { p.at(0, text) }

// at shows how much is done. What cannot be shown is no reason to stop.
func (p *progress) at(done int64, text string) {
	switch {
	case p.bar != nil:
		p.bar.Describe(fmt.Sprintf("%-40s", p.what+" "+text))
		if p.all > 0 {
			_ = p.bar.Set64(done) // what cannot be shown is no reason to stop
		} else {
			_ = p.bar.Add(1) // neither is this
		}
	case time.Now().After(p.next):
		p.next = time.Now().Add(5 * time.Second)
		if p.all > 0 {
			text = fmt.Sprintf("%3d %% %s", 100*done/p.all, text)
		}
		fmt.Fprintln(os.Stderr, p.what+" "+text)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish() // nor this: the work is done
	}
}
