package resolvers

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/holon-registry/holon/resolvers/generated"
)

func TestBriefGroups(t *testing.T) {
	briefly(t, briefGroups, map[string]bool{
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
	})
}

func TestBriefTwins(t *testing.T) {
	briefly(t, briefTwins, map[string]bool{
		`{ devices(first: 100) { totalCount nodes { id reference description state template { name } policies { reference } policyReferences } pageInfo { endCursor } } }`: true,
		`{ assets { edges { cursor node { reference groups { path attributes } parts { reference } links { device { reference } } } } } }`:                                 true,
		`{ devices { nodes { reference version } } }`:                                                           false,
		`{ devices { nodes { reference live { value } } } }`:                                                    false,
		`{ devices { nodes { reference series { measure } } } }`:                                                false,
		`{ devices { nodes { reference } } other: asset(reference: "a") { imageUrl } }`:                         false,
		`{ devices { nodes { reference components { externalReference } } } }`:                                  false,
		`{ devices { nodes { ...d } } } fragment d on Twin { attributes }`:                                      false,
		`{ devices { nodes { ...d } } } fragment d on Node { ... on Device { reference } }`:                     true,
		`{ devices { nodes { relations { other { ... on Device { attributes } } } } } }`:                        false,
		`{ devices { nodes { relations { other { ... on Group { attributes } ... on Device { state } } } } } }`: true,
	})
}

// briefly asks of each query whether brief things will do for it.
func briefly(t *testing.T, brief func(*graphql.OperationContext) bool, queries map[string]bool) {
	t.Helper()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for query, want := range queries {
		document, err := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules())
		if err != nil {
			t.Fatalf("%v\n%s", err, query)
		}
		if got := brief(&graphql.OperationContext{Operation: document.Operations[0]}); got != want {
			t.Errorf("brief: %t, want %t\n%s", got, want, query)
		}
	}
}
