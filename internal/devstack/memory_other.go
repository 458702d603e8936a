//go:build !linux

package devstack

import "errors"

// freeMemoryMB cannot be answered here without a library for each system.
func freeMemoryMB() (int, error) {
	return 0, errors.New("free memory is not known on this system")
}
