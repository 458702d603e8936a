package checks

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// generatedRoots are folders whose files somebody else wrote, or a program.
var generatedRoots = []string{"resolvers/graphiql/assets/", "resolvers/generated/", "internal/checks/testdata/"}

var listFiles = sync.OnceValues(func() ([]string, error) {
	// What is new and not ignored counts as well: a check before the commit is
	// worth more than one after it.
	command := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		return nil, err
	}
	var files []string
	for name := range bytes.SplitSeq(bytes.TrimRight(out, "\x00"), []byte{0}) {
		if _, err := os.Stat(filepath.Join(root, string(name))); err == nil { // deleted files are still listed
			files = append(files, string(name))
		}
	}
	return files, nil
})

// files lists the files of the repository, relative to root, with slashes.
func files(t *testing.T) []string {
	t.Helper()
	all, err := listFiles()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	if len(all) < 50 {
		t.Fatalf("git lists only %d files: is this the repository?", len(all))
	}
	return all
}

func filesWith(t *testing.T, extension string) []string {
	t.Helper()
	var some []string
	for _, name := range files(t) {
		if strings.HasSuffix(name, extension) {
			some = append(some, name)
		}
	}
	return some
}

func content(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func foreign(name string) bool {
	for _, folder := range generatedRoots {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return false
}
