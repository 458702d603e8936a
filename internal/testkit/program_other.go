//go:build !linux

package testkit

import "os/exec"

func startBound(cmd *exec.Cmd) error { return cmd.Start() }
