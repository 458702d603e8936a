package gqlhttp

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// What stands in variables is refused in few words. They become what is said of
// the same mistake in the document: which names there are.

var notValid = regexp.MustCompile(`^(\S+) is not a valid (\w+)$`)

// explained is what is said of a variable, with the names that there are.
func (p presenter) explained(ctx context.Context, said *gqlerror.Error) string {
	if !p.suggest {
		return said.Message
	}
	if parts := notValid.FindStringSubmatch(said.Message); parts != nil {
		if of := p.schema.Types[parts[2]]; of != nil && of.Kind == ast.Enum {
			return fmt.Sprintf("%q is no %s: there are %s", parts[1], of.Name, strings.Join(valuesOf(of), ", "))
		}
	}
	if said.Message != "unknown field" || len(said.Path) < 3 || !graphql.HasOperationContext(ctx) {
		return said.Message
	}
	of := p.inputAt(graphql.GetOperationContext(ctx).Operation, said.Path[1:len(said.Path)-1])
	if of == nil {
		return said.Message
	}
	return fmt.Sprintf("%s has no field %q: there are %s", of.Name, said.Path[len(said.Path)-1], strings.Join(fieldsOf(of), ", "))
}

// inputAt is the type of the input at a place in an operation's variables, nil if
// there is none.
func (p presenter) inputAt(operation *ast.OperationDefinition, path ast.Path) *ast.Definition {
	if operation == nil {
		return nil
	}
	name, _ := path[0].(ast.PathName)
	variable := operation.VariableDefinitions.ForName(string(name))
	if variable == nil {
		return nil
	}
	of := p.schema.Types[variable.Type.Name()]
	for _, step := range path[1:] {
		name, named := step.(ast.PathName)
		if !named {
			continue // the same type, of an item of a list
		}
		if of == nil {
			return nil
		}
		field := of.Fields.ForName(string(name))
		if field == nil {
			return nil
		}
		of = p.schema.Types[field.Type.Name()]
	}
	return of
}

func valuesOf(of *ast.Definition) []string {
	out := make([]string, len(of.EnumValues))
	for i, value := range of.EnumValues {
		out[i] = value.Name
	}
	return out
}

func fieldsOf(of *ast.Definition) []string {
	out := make([]string, len(of.Fields))
	for i, field := range of.Fields {
		out[i] = field.Name
	}
	slices.Sort(out)
	return out
}
