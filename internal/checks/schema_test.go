package checks

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	gql "github.com/vektah/gqlparser/v2/ast"
)

func apiSchema(t *testing.T) *gql.Schema {
	t.Helper()
	var sources []*gql.Source
	for _, name := range filesWith(t, ".graphqls") {
		if strings.HasPrefix(name, "schema/") {
			sources = append(sources, &gql.Source{Name: name, Input: content(t, name)})
		}
	}
	schema, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// Whoever opens GraphiQL reads these descriptions and nothing else.
func TestEverythingInTheSchemaIsDescribed(t *testing.T) {
	schema := apiSchema(t)
	described := 0
	check := func(text string, name ...string) {
		described++
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s has no description", strings.Join(name, "."))
		}
	}
	for _, definition := range schema.Types {
		if definition.BuiltIn {
			continue
		}
		check(definition.Description, definition.Name)
		for _, field := range definition.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			check(field.Description, definition.Name, field.Name)
			for _, argument := range field.Arguments {
				check(argument.Description, definition.Name, field.Name, argument.Name)
			}
		}
		for _, value := range definition.EnumValues {
			check(value.Description, definition.Name, value.Name)
		}
	}
	for _, directive := range schema.Directives {
		if directive.Position == nil || directive.Position.Src.BuiltIn {
			continue
		}
		check(directive.Description, "@"+directive.Name)
		for _, argument := range directive.Arguments {
			check(argument.Description, "@"+directive.Name, argument.Name)
		}
	}
	if described < 300 {
		t.Errorf("looked at %d descriptions only: the schema was not read", described)
	}
}

// The nouns are written by hand in registry, so that stores need no API type.
// gqlgen writes a model only for what exists in the API alone.
func TestGeneratedModelsHoldNoNouns(t *testing.T) {
	path := filepath.Join(root, "resolvers", "generated", "models_gen.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}
		for _, spec := range general.Specs {
			seen++
			if name := spec.(*ast.TypeSpec).Name.Name; !apiOnly(name) {
				t.Errorf("gqlgen made a model %s: write it in registry, where autobind finds it", name)
			}
		}
	}
	if seen == 0 {
		t.Error("no generated model was found")
	}
}

func apiOnly(name string) bool {
	switch name {
	case "Query", "Mutation", "Subscription", "PageInfo":
		return true
	}
	for _, ending := range []string{"Payload", "Connection", "Edge", "Input", "Ref"} {
		if strings.HasSuffix(name, ending) && name != ending {
			return true
		}
	}
	return false
}
