package devstack

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

var memAvailable = regexp.MustCompile(`(?m)^MemAvailable:\s+(\d+) kB`)

// freeMemoryMB returns the memory that processes can still get without
// swapping, in mebibytes.
func freeMemoryMB() (int, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	found := memAvailable.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("/proc/meminfo does not say MemAvailable")
	}
	kib, err := strconv.Atoi(string(found[1]))
	return kib >> 10, err
}
