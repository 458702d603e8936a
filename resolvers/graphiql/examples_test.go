package graphiql

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

func TestParseExample(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want example
		err  string
	}{
		"plain":            {"# title: A\n{\n  a\n}\n", example{Title: "A", Query: "{\n  a\n}\n"}, ""},
		"variables":        {"# title: A: b\n# variables: {\"a\": [1]}\nquery {a}", example{Title: "A: b", Query: "query {a}\n", Variables: "{\n  \"a\": [\n    1\n  ]\n}"}, ""},
		"comment of query": {"# title: A\n\n# one: two\n{a}", example{Title: "A", Query: "# one: two\n{a}\n"}, ""},
		"no title":         {"{a}", example{}, "missing"},
		"no query":         {"# title: A\n", example{}, "missing"},
		"bad variables":    {"# title: A\n# variables: {a}\n{a}", example{}, "variables"},
		"unknown head":     {"# titel: A\n{a}", example{}, "titel"},
	} {
		got, err := parseExample(test.text)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", name, err, test.err)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// Every example that is shipped can be read, and its variables are those that
// its operation declares.
func TestShippedExamples(t *testing.T) {
	t.Parallel()
	examples, err := readExamples(exampleFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(examples) == 0 {
		t.Fatal("no examples")
	}
	titles := map[string]bool{}
	for _, e := range examples {
		if titles[e.Title] {
			t.Errorf("%s: the title %q is there twice", e.Name, e.Title)
		}
		titles[e.Title] = true
		document, err := parser.ParseQuery(&ast.Source{Name: e.Name, Input: e.Query})
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		given := map[string]any{}
		if e.Variables != "" {
			if err := json.Unmarshal([]byte(e.Variables), &given); err != nil {
				t.Errorf("%s: variables: %v", e.Name, err)
			}
		}
		for _, operation := range document.Operations {
			for _, declared := range operation.VariableDefinitions {
				if _, ok := given[declared.Variable]; !ok && declared.Type.NonNull && declared.DefaultValue == nil {
					t.Errorf("%s: no value for $%s", e.Name, declared.Variable)
				}
				delete(given, declared.Variable)
			}
		}
		for name := range given {
			t.Errorf("%s: a value for %s, which no operation declares", e.Name, name)
		}
	}
}
