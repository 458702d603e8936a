package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/holon-registry/holon/registry"
)

// State is how far an import has come: it is kept beside the file, so that an
// import that was interrupted goes on where it was.
type State struct {
	// Account is the id of the account, so that a file can be imported into
	// several.
	Account registry.ID `json:"account"`
	// File is what is known of the file, so that another one of the same name is
	// not taken for it.
	File string `json:"file"`
	// Options are those that decide about what is made.
	Options string `json:"options,omitempty"`
	// Line and Offset are where to go on, Sum is what was done before.
	Line   int   `json:"line"`
	Offset int64 `json:"offset"`
	Sum    Sum   `json:"sum"`
}

// Fingerprint tells one file from another by its size and its beginning, which
// names the account, the moment and the number of lines.
func Fingerprint(file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(file, 0, 1<<20)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s", info.Size(), hex.EncodeToString(h.Sum(nil)[:16])), nil
}

// LoadState reads a state that fits; one from the start if there is none.
func LoadState(path string, fits State) (State, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fits, nil
	}
	if err != nil {
		return fits, err
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return fits, fmt.Errorf("%s is no state of an import: delete it to start from the beginning: %w", path, err)
	}
	if s.Account != fits.Account || s.File != fits.File || s.Options != fits.Options {
		return fits, nil
	}
	return s, nil
}

// Save writes the state, all of it or nothing.
func (s State) Save(path string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := path + ".next"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
