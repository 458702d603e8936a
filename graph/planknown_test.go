package graph_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/holon-registry/holon/graph"
)

// Planning hundreds of queries takes the database minutes. So those whose plans
// were found good are remembered by their texts, together with the migrations,
// which make the indexes: what changed is looked at again. HOLON_PLANS=all looks
// at all of them, HOLON_PLANS=write at all of them and remembers, and
// HOLON_PLANS=add remembers once it has looked at those that are new.
const knownPlansFile = "testdata/plans.txt"

// knownPlans are the queries whose plans need no look.
type knownPlans struct {
	base string
	good map[string]bool
	// lines are of those that were asked about.
	lines []string
}

func readKnownPlans(t *testing.T) *knownPlans {
	t.Helper()
	k := &knownPlans{base: migrationsSum(t), good: map[string]bool{}}
	if mode := os.Getenv("HOLON_PLANS"); mode != "" && mode != "add" {
		return k
	}
	text, err := os.ReadFile(knownPlansFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		k.good[strings.TrimSpace(line)] = true
	}
	return k
}

// has says whether the plan of a query was found good, and may still be so.
func (k *knownPlans) has(q graph.Query) bool {
	line := k.line(q)
	k.lines = append(k.lines, line)
	return k.good[line]
}

func (k *knownPlans) line(q graph.Query) string {
	sum := sha256.Sum256([]byte(k.base + q.Text))
	return q.Name + " " + hex.EncodeToString(sum[:12])
}

// write remembers all queries, if that is asked for and nothing was wrong.
func (k *knownPlans) write(t *testing.T) {
	t.Helper()
	if mode := os.Getenv("HOLON_PLANS"); mode != "write" && mode != "add" || t.Failed() {
		return
	}
	slices.Sort(k.lines)
	if err := os.WriteFile(knownPlansFile, []byte(strings.Join(k.lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// migrationsSum stands for what the migrations say.
func migrationsSum(t *testing.T) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir("migrations", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(sum, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
