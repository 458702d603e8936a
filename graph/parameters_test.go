package graph_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/holon-registry/holon/graph"
)

// TestParametersInMap: whatever a quoted part holds stays as it is.
func TestParametersInMap(t *testing.T) {
	for text, want := range map[string]string{
		"MATCH (n {id: $id}) WHERE n.a = $account RETURN n": "MATCH (n {id: $p.id}) WHERE n.a = $p.account RETURN n",
		"$a":                               "$p.a",
		"":                                 "",
		"RETURN '$a', $b":                  "RETURN '$a', $p.b",
		`RETURN '\'$a', "\"$a", $b`:        `RETURN '\'$a', "\"$a", $p.b`,
		"RETURN n.`$a``$b` + $c":           "RETURN n.`$a``$b` + $p.c",
		"RETURN n.`\\` + $c":               "RETURN n.`\\` + $p.c",
		"SET n:$(labels) RETURN '5 $' + $": "SET n:$(labels) RETURN '5 $' + $",
		"RETURN 'never closed $a":          "RETURN 'never closed $a",
	} {
		if got := graph.InMap(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestParametersAreInMap: no statement has a parameter of its own left.
func TestParametersAreInMap(t *testing.T) {
	alone := regexp.MustCompile(`\$[A-Za-z_]\w*`)
	for _, q := range graph.Queries() {
		for _, name := range alone.FindAllString(graph.InMap(q.Text), -1) {
			if name != "$p" {
				t.Errorf("%s: %s is outside of the map", q.Name, name)
			}
		}
		if strings.Contains(q.Text, "$p.") {
			t.Errorf("%s names the map itself", q.Name)
		}
	}
}
