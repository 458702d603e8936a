package devstack

import (
	"io"
	"os"
	"strings"
)

// maxLogBytes is the size above which a store's log is set aside at its next start.
const maxLogBytes = 8 << 20

// openLog opens a log for appending and says where new output will begin.
func openLog(path string) (*os.File, int64, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, err
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// readLog returns at most the last 16 KiB that were written after from. A log
// that cannot be read counts as empty: it only explains, it decides nothing alone.
func readLog(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-16<<10)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, from, 16<<10))
	if err != nil {
		return ""
	}
	return string(text)
}

// lastLines returns the end of an output, short enough to be part of an error.
func lastLines(output string) string {
	const most = 12
	lines := strings.Split(strings.TrimSpace(output), "\n")
	// Java's stack traces push the reasons out; where they begin says enough.
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, "\tat ") && !strings.HasPrefix(line, "\t... ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-most):], "\n")
}
