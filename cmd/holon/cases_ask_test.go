package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/holon-registry/holon/resolvers/generated"
)

// api is the schema, from which the operations of the cases take the types of
// their arguments and what to ask for of their results.
var api = sync.OnceValue(func() *shape {
	return &shape{generated.NewExecutableSchema(generated.Config{}).Schema().Types}
})

// shapes is what is asked for of an object; of other types it is every field
// that needs no argument. The alias `key` makes of an object just its key.
var shapes = map[string]string{
	"Group":    `id path name depth description parent { key: path } template { key: name } attributes version createdAt updatedAt ` + relationsShape,
	"Device":   twinShape + ` componentOf { key: reference } componentName components { key: componentName }`,
	"Asset":    twinShape + ` partOf { key: reference } parts { key: reference }`,
	"Related":  `... on Group { key: path } ... on Device { key: reference } ... on Asset { key: reference }`,
	"Twin":     `... on Device { key: reference } ... on Asset { key: reference }`,
	"Template": `id kind name version revision status description properties required components relations { name direction kind templates inherits } measures { name type unit } annotations provisioning reported createdAt publishedAt`,
	"Policy":   `id reference type description document appliesTo { key: path } version createdAt updatedAt`,
	"Link":     `device { key: reference } asset { key: reference } measures { device asset } since until`,
	"Viewer":   `account { name } key { id name }`,
}

const (
	twinShape      = `id reference description externalReference imageUrl connected state template { key: name } attributes version createdAt updatedAt ` + relationsShape
	relationsShape = `relations { name direction other { ... on Group { key: path } ... on Device { key: reference } ... on Asset { key: reference } __typename } }`
)

// answer is what came of an operation.
type answer struct {
	code, message string
	violations    []any
	result        any
}

// do runs the operation of a step. A null object is answered as NOT_FOUND.
func (r *caseRun) do(s caseStep) answer {
	r.t.Helper()
	if other, is := otherOperations[s.op]; is {
		return other(r, s)
	}
	text, variables, way := api().operation(r.t, s, r.filledIn)
	raw, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		r.t.Fatal(err)
	}
	c := r.with(s)
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, c.url+"/graphql", bytes.NewReader(raw))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Data   map[string]any
		Errors []struct {
			Message    string
			Extensions struct {
				Code       string
				Violations []any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		r.t.Fatalf("%s: the answer is no JSON: %v\n%s", s.op, err, text)
	}
	if len(got.Errors) > 0 {
		e := got.Errors[0]
		if e.Extensions.Code == "INTERNAL" {
			r.t.Errorf("%s: INTERNAL: %s\n%s", s.op, e.Message, raw)
		}
		return answer{code: e.Extensions.Code, message: e.Message, violations: e.Extensions.Violations}
	}
	var at any = got.Data
	for _, field := range way {
		if at = at.(map[string]any)[field]; at == nil {
			return answer{code: "NOT_FOUND", message: field + " is null"}
		}
	}
	return answer{result: plain(at)}
}

// shape writes operations from the schema.
type shape struct{ types map[string]*ast.Definition }

// operation writes the GraphQL of a step, with the way to its result.
func (a *shape) operation(t *testing.T, s caseStep, fill func(any) any) (text string, variables map[string]any, way []string) {
	t.Helper()
	kind, root := "query", "Query"
	if a.types["Mutation"].Fields.ForName(s.op) != nil && s.Of == nil {
		kind, root = "mutation", "Mutation"
	}
	w := &writer{shape: a, variables: map[string]any{}}
	var body string
	if s.Of == nil {
		body, _ = w.field(t, root, s.op, s.args, fill, s.Select)
		way = []string{s.op}
	} else {
		for name, args := range s.Of {
			of := a.types[root].Fields.ForName(name)
			if of == nil {
				t.Fatalf("there is no field %s of the root", name)
			}
			inner, _ := w.field(t, of.Type.Name(), s.op, s.args, fill, s.Select)
			body, _ = w.field(t, root, name, args, fill, inner)
			way = []string{name, s.op}
		}
	}
	declared := ""
	if len(w.declared) > 0 {
		declared = "(" + strings.Join(w.declared, ", ") + ")"
	}
	return kind + declared + " { " + body + " }", w.variables, way
}

// writer collects the variables of an operation.
type writer struct {
	*shape
	declared  []string
	variables map[string]any
}

// field writes a field with its arguments. The arguments of a mutation are the
// fields of its one input.
func (w *writer) field(t *testing.T, on, name string, args map[string]any, fill func(any) any, selection string) (text, result string) {
	t.Helper()
	field := w.types[on].Fields.ForName(name)
	if field == nil {
		t.Fatalf("%s has no field %s", on, name)
	}
	if args == nil {
		args = map[string]any{}
	}
	if on == "Mutation" {
		args = map[string]any{"input": args}
	}
	var list []string
	for _, argument := range slices.Sorted(maps.Keys(args)) {
		definition := field.Arguments.ForName(argument)
		if definition == nil {
			t.Fatalf("%s.%s has no argument %s", on, name, argument)
		}
		v := fmt.Sprintf("v%d", len(w.declared))
		w.declared = append(w.declared, "$"+v+": "+definition.Type.String())
		w.variables[v] = fill(args[argument])
		list = append(list, argument+": $"+v)
	}
	text = name
	if len(list) > 0 {
		text += "(" + strings.Join(list, ", ") + ")"
	}
	result = field.Type.Name()
	if selection == "" {
		selection = w.selection(result, nil)
	}
	if selection != "" {
		text += " { " + selection + " }"
	}
	return text, result
}

// selection is what is asked for of a type; nothing of a scalar.
func (a *shape) selection(name string, above []string) string {
	if text, known := shapes[name]; known {
		return text
	}
	definition := a.types[name]
	if definition.IsLeafType() || slices.Contains(above, name) {
		return ""
	}
	above = append(above, name)
	var fields []string
	for _, f := range definition.Fields {
		needs := slices.ContainsFunc(f.Arguments, func(d *ast.ArgumentDefinition) bool { return d.Type.NonNull && d.DefaultValue == nil })
		edges := f.Name == "edges" && definition.Fields.ForName("nodes") != nil
		if needs || edges || strings.HasPrefix(f.Name, "__") {
			continue
		}
		inner := a.selection(f.Type.Name(), above)
		switch {
		case inner != "":
			fields = append(fields, f.Name+" { "+inner+" }")
		case a.types[f.Type.Name()].IsLeafType():
			fields = append(fields, f.Name)
		}
	}
	return strings.Join(fields, " ")
}

// plain makes of an answer what the cases compare: an object of which only the
// key was asked for is its key, and relations are lists of keys by kind,
// direction and name.
func plain(value any) any {
	switch value := value.(type) {
	case []any:
		for i, item := range value {
			value[i] = plain(item)
		}
		return value
	case map[string]any:
		if key, alone := value["key"]; alone && len(value) == 1 {
			return key
		}
		if relations, is := value["relations"].([]any); is && value["properties"] == nil {
			delete(value, "relations")
			maps.Copy(value, relationsByKind(relations))
		}
		for name, item := range value {
			value[name] = plain(item)
		}
		return value
	}
	return value
}

// relationsByKind takes the relations of an object, each with the object at the
// other end, or of a profile, each with lists of keys.
func relationsByKind(relations []any) map[string]any {
	kinds := map[string]string{"Group": "groups", "Device": "devices", "Asset": "assets"}
	all := map[string]any{"groups": map[string]any{}, "devices": map[string]any{}, "assets": map[string]any{}}
	add := func(kind string, relation map[string]any, others ...any) {
		if len(others) == 0 {
			return
		}
		ways, way, name := all[kind].(map[string]any), strings.ToLower(relation["direction"].(string)), relation["name"].(string)
		if ways[way] == nil {
			ways[way] = map[string]any{}
		}
		names := ways[way].(map[string]any)
		keys, _ := names[name].([]any)
		names[name] = append(keys, others...)
	}
	for _, r := range relations {
		relation := r.(map[string]any)
		if other, is := relation["other"].(map[string]any); is {
			add(kinds[other["__typename"].(string)], relation, other["key"])
			continue
		}
		for kind := range all {
			keys, _ := relation[kind].([]any)
			add(kind, relation, keys...)
		}
	}
	for _, ways := range all {
		for _, names := range ways.(map[string]any) {
			for _, keys := range names.(map[string]any) {
				slices.SortFunc(keys.([]any), func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
		}
	}
	return all
}
