package resolvers

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/holon-registry/holon/registry"
)

// In an input that changes something, null clears what can be cleared. Elsewhere
// it would pass for what is absent: a caller who sent it meant something, and
// would not learn that nothing came of it.

// patching are the inputs that change something.
var patching = regexp.MustCompile(`^(Update|Upsert|Move)\w+Input$`)

// naming are the fields that name what is changed, one way or another: those that
// are not used may be null.
var naming = map[string][]string{
	"UpdateTemplateInput": {"kind", "name"},
	"UpdateProfileInput":  {"kind", "template", "name"},
	"":                    {"id", "reference", "path"},
}

// checkNulls refuses nulls for fields that cannot be cleared, in the inputs of a
// mutation.
func checkNulls(ctx context.Context, arguments map[string]any) error {
	field := graphql.GetFieldContext(ctx)
	if field.Object != "Mutation" {
		return nil
	}
	var wrong []registry.Violation
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		of, given := reflect.TypeOf(arguments[name]), field.Field.Arguments.ForName(name)
		if of != nil && given != nil && patching.MatchString(of.Name()) {
			wrong = append(wrong, nulls(name, written(given.Value, graphql.GetOperationContext(ctx).Variables), of)...)
		}
	}
	if len(wrong) > 0 {
		return registry.Invalid(wrong...)
	}
	return nil
}

// written is a value as the caller wrote it: what is absent is not null.
func written(v *ast.Value, variables map[string]any) any {
	switch v.Kind {
	case ast.Variable:
		return variables[v.Raw]
	case ast.ObjectValue:
		out := map[string]any{}
		for _, child := range v.Children {
			if _, given := variables[child.Value.Raw]; child.Value.Kind != ast.Variable || given {
				out[child.Name] = written(child.Value, variables)
			}
		}
		return out
	case ast.ListValue:
		out := make([]any, len(v.Children))
		for i, child := range v.Children {
			out[i] = written(child.Value, variables)
		}
		return out
	case ast.NullValue:
		return nil
	}
	return v.Raw
}

// nulls tells which fields of an input are null and cannot be.
func nulls(path string, given any, of reflect.Type) []registry.Violation {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	var out []registry.Violation
	switch given := given.(type) {
	case []any:
		for i, item := range given {
			out = append(out, nulls(fmt.Sprintf("%s[%d]", path, i), item, of)...)
		}
	case map[string]any:
		if of.Kind() != reflect.Struct {
			return nil // JSON
		}
		for i := range of.NumField() {
			field := of.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			value, has := given[name]
			switch {
			case !has || strings.HasPrefix(field.Type.Name(), "Omittable["):
			case value != nil:
				out = append(out, nulls(path+"."+name, value, field.Type)...)
			case !slices.Contains(naming[of.Name()], name) && !slices.Contains(naming[""], name):
				out = append(out, registry.Violation{Path: path + "." + name, Rule: "null", Message: "cannot be null: leave it out to change nothing"})
			}
		}
	}
	return out
}
