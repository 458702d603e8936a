//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// prepare returns a function that ends the command, at once: there is no signal
// here that asks for it.
func prepare(*exec.Cmd) func(p *os.Process, ended <-chan struct{}) {
	return func(p *os.Process, ended <-chan struct{}) {
		_ = p.Kill()
		<-ended
	}
}
