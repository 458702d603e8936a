// Package arch holds the test of the arrows: which room may import which.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/holon-registry/holon/"

// rooms lists, for each room, the other rooms that it may import. Arrows go
// one way, and never sideways between rooms of the same step.
var rooms = map[string][]string{
	"unit":                  {},
	"registry":              {"unit"},
	"rule":                  {"registry"},
	"decode":                {"registry", "rule", "unit"},
	"graph":                 {"registry", "rule", "decode", "unit", "internal/jsonschema"},
	"alarm":                 {"registry", "rule"},
	"twin":                  {"registry", "internal/redisconn"},
	"access":                {"registry"},
	"download":              {"registry"},
	"ingest":                {"registry", "rule", "decode", "internal/conns", "internal/redisconn"},
	"ingest/ftp":            {"registry", "ingest"},
	"conform":               {},
	"transfer":              {"registry"},
	"resolvers":             {"registry", "rule", "unit", "graph", "twin", "resolvers/generated", "resolvers/scalar", "resolvers/gqlhttp"},
	"resolvers/generated":   {"registry", "twin", "resolvers/scalar"},
	"resolvers/scalar":      {"registry"},
	"resolvers/gqlhttp":     {"registry", "internal/conns"},
	"resolvers/graphiql":    {},
	"internal/jsonschema":   {"registry"},
	"internal/redisconn":    {},
	"internal/conns":        {},
	"internal/inorder":      {},
	"internal/devstack":     {"internal/freeport"},
	"internal/freeport":     {},
	"cmd/holon":             {"registry", "decode", "graph", "alarm", "twin", "access", "conform", "download", "ingest", "ingest/ftp", "transfer", "resolvers", "resolvers/generated", "resolvers/gqlhttp", "resolvers/graphiql", "internal/devstack", "internal/bench", "internal/redisconn"},
	"internal/bench":        {"registry", "graph", "twin", "ingest", "internal/redisconn"},
	"internal/devstack/run": {"internal/devstack"},
	"examples/internal/api": {},
	"examples/room-climate": {"examples/internal/api"},
	"examples/soda-hall":    {"examples/internal/api"},
}

// libraries lists which rooms may import a technology.
var libraries = map[string][]string{
	"github.com/neo4j/neo4j-go-driver":      {"graph", "internal/bench"},
	"github.com/redis/go-redis":             {"twin", "ingest", "internal/redisconn", "internal/bench"},
	"github.com/99designs/gqlgen":           {"resolvers", "resolvers/generated", "resolvers/scalar", "resolvers/gqlhttp"},
	"github.com/vektah/gqlparser":           {"resolvers", "resolvers/generated", "resolvers/gqlhttp"},
	"github.com/mochi-mqtt/server":          {"ingest"},
	"github.com/fclairamb/ftpserverlib":     {"ingest/ftp"},
	"github.com/eclipse/paho.golang":        {"ingest", "cmd/holon", "internal/bench", "examples/room-climate"},
	"github.com/coder/websocket":            {"ingest", "resolvers/gqlhttp", "internal/bench", "examples/room-climate"},
	"github.com/santhosh-tekuri/jsonschema": {"internal/jsonschema"},
	"github.com/alecthomas/kong":            {"cmd/holon"},
	"github.com/expr-lang/expr":             {"rule"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		if testOnly(room) {
			continue
		}
		allowed, known := rooms[room]
		if !known {
			t.Errorf("%s is a new room: say in internal/arch what it may import", room)
			continue
		}
		for _, imported := range p.Imports {
			if other, ours := strings.CutPrefix(imported, module); ours {
				if !contains(allowed, other) {
					t.Errorf("%s imports %s: that arrow goes the wrong way", room, other)
				}
				continue
			}
			for library, where := range libraries {
				if strings.HasPrefix(imported, library) && !contains(where, room) {
					t.Errorf("%s imports %s: only %v may", room, imported, where)
				}
			}
			if (room == "registry" || room == "unit") && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
				t.Errorf("%s imports %s: it imports the standard library only", room, imported)
			}
			if imported == "testing" {
				t.Errorf("%s imports testing in a product file", room)
			}
		}
	}
}

// testOnly rooms are there for tests and may import what they like.
func testOnly(room string) bool {
	switch room {
	case "internal/arch", "internal/testkit", "internal/checks", "internal/chaos":
		return true
	}
	return strings.HasPrefix(room, "resolvers/gqlhttp/internal/")
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("go list found no package")
	}
	return all
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}
