package resolvers

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/holon-registry/holon/resolvers/generated"
)

func TestBriefGroups(t *testing.T) {
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for query, want := range map[string]bool{
		`{ group(path: "/") { id path name depth description children { edges { cursor node { path members { nodes { id } } } } } } }`:                 true,
		`{ device(reference: "d") { version createdAt attributes template { name version } groups { path } } }`:                                        true,
		`{ group(path: "/") { path template { name } } }`:                                                                                              false,
		`{ group(path: "/") { parent { path } } }`:                                                                                                     false,
		`{ group(path: "/") { children { nodes { children { nodes { attributes } } } } } }`:                                                            false,
		`{ group(path: "/") { path } other: node(id: "x") { ... on Group { version } } }`:                                                              false,
		`{ device(reference: "d") { groups { path } policies { appliesTo { path updatedAt } } } }`:                                                     false,
		`query { device(reference: "d") { groups { ...g } } } fragment g on Group { path ...h } fragment h on Group { createdAt }`:                     false,
		`{ device(reference: "d") { groups { path } relations { other { ... on Group { attributes } ... on Device { attributes } } } } }`:              false,
		`{ device(reference: "d") { groups { path } relations { other { ... on Group { __typename path } ... on Device { attributes version } } } } }`: true,
	} {
		document, err := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules())
		if err != nil {
			t.Fatalf("%v\n%s", err, query)
		}
		if got := briefGroups(&graphql.OperationContext{Operation: document.Operations[0]}); got != want {
			t.Errorf("brief: %t, want %t\n%s", got, want, query)
		}
	}
}
