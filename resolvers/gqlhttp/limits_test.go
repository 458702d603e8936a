package gqlhttp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/resolvers/gqlhttp"
)

// doubling is a document whose fragments double n times: 2^n fields if they
// were written out.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{...F0}")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Query {...F%d ...F%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Query {__typename}", n)
	return b.String()
}

// deep is a query of n nested pages.
func deep(n int) string {
	return "{" + strings.Repeat("things(first: 1) {edges {node {", n) + "name" + strings.Repeat("}}}", n) + "}"
}

// many repeats a piece of text that has its number in it.
func many(n int, piece string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, piece, i)
	}
	return b.String()
}

func TestLimits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limits gqlhttp.Limits
		query  string
		code   string // "" if it passes
	}{
		"depth":                        {gqlhttp.Limits{Depth: 4}, deep(1), ""},
		"depth over":                   {gqlhttp.Limits{Depth: 3}, deep(1), "LIMIT_EXCEEDED"},
		"depth in a fragment":          {gqlhttp.Limits{Depth: 3}, "{things {...T}} fragment T on ThingConnection {edges {node {name}}}", "LIMIT_EXCEEDED"},
		"depth in an inline one":       {gqlhttp.Limits{Depth: 3}, "{things {... on ThingConnection {edges {node {name}}}}}", "LIMIT_EXCEEDED"},
		"depth by default":             {gqlhttp.Limits{}, deep(7), "LIMIT_EXCEEDED"},
		"fields":                       {gqlhttp.Limits{Fields: 3}, "{__typename __typename __typename}", ""},
		"fields over":                  {gqlhttp.Limits{Fields: 3}, "{__typename __typename __typename __typename}", "LIMIT_EXCEEDED"},
		"fields of two operations":     {gqlhttp.Limits{Fields: 3}, "query A {__typename} query B {__typename __typename __typename __typename}", "LIMIT_EXCEEDED"},
		"fields of an unused fragment": {gqlhttp.Limits{Fields: 3}, "{__typename} fragment F on Query {__typename __typename __typename __typename}", "LIMIT_EXCEEDED"},
		"8,000 equal fields":           {gqlhttp.Limits{Tokens: 100_000}, "{" + strings.Repeat("__typename ", 8000) + "}", "LIMIT_EXCEEDED"},
		"root fields":                  {gqlhttp.Limits{RootFields: 2}, "{__typename ... on Query {__typename}}", ""},
		"root fields over":             {gqlhttp.Limits{RootFields: 2}, "{__typename ...F} fragment F on Query {a: __typename b: __typename}", "LIMIT_EXCEEDED"},
		"no root fields of a fragment": {gqlhttp.Limits{RootFields: 1}, "{things(first: 1) {edges {node {...T}}}} fragment T on Thing {name loads}", ""},
		"root fields by default":       {gqlhttp.Limits{}, "mutation {" + many(51, "a%d: bump ") + "}", "LIMIT_EXCEEDED"},
		"aliases":                      {gqlhttp.Limits{Aliases: 2}, "{a: __typename b: __typename __typename: __typename}", ""},
		"aliases over":                 {gqlhttp.Limits{Aliases: 2}, "{a: __typename b: __typename c: __typename}", "LIMIT_EXCEEDED"},
		"aliases in fragments":         {gqlhttp.Limits{Aliases: 2}, "{...F ...F} fragment F on Query {a: __typename b: __typename}", "LIMIT_EXCEEDED"},
		"directives":                   {gqlhttp.Limits{Directives: 1}, "{__typename @skip(if: false)}", ""},
		"directives over":              {gqlhttp.Limits{Directives: 1}, "{__typename @skip(if: false) ... @include(if: true) {__typename}}", "LIMIT_EXCEEDED"},
		"directives on the operation":  {gqlhttp.Limits{}, "query " + strings.Repeat("@aa ", 51) + "{__typename}", "LIMIT_EXCEEDED"},
		"directives on a variable":     {gqlhttp.Limits{}, "query ($a: Int " + strings.Repeat("@aa ", 51) + ") {things(first: $a) {edges {node {name}}}}", "LIMIT_EXCEEDED"},
		"fragments":                    {gqlhttp.Limits{Fragments: 1}, "{...A} fragment A on Query {__typename}", ""},
		"fragments over":               {gqlhttp.Limits{Fragments: 1}, "{...A ...B} fragment A on Query {__typename} fragment B on Query {__typename}", "LIMIT_EXCEEDED"},
		"operations over":              {gqlhttp.Limits{Operations: 1}, "query A {__typename} query B {__typename}", "LIMIT_EXCEEDED"},
		"tokens":                       {gqlhttp.Limits{Tokens: 3}, "{__typename}", ""},
		"tokens over":                  {gqlhttp.Limits{Tokens: 2}, "{__typename}", "LIMIT_EXCEEDED"},
		"comments are tokens":          {gqlhttp.Limits{}, strings.Repeat("#\n", 6000) + "{__typename}", "LIMIT_EXCEEDED"},
		"nesting":                      {gqlhttp.Limits{}, strings.Repeat("{a", 400_000), "LIMIT_EXCEEDED"},
		"nesting of lists":             {gqlhttp.Limits{}, "{echo(text: " + strings.Repeat("[", 1000), "LIMIT_EXCEEDED"},
		"nesting of types":             {gqlhttp.Limits{}, "query ($a: " + strings.Repeat("[", 1000), "LIMIT_EXCEEDED"},
		"brackets in text":             {gqlhttp.Limits{}, `{echo(text: "` + strings.Repeat("{", 1000) + `")}`, ""},
		"fragments that double":        {gqlhttp.Limits{}, doubling(40), "LIMIT_EXCEEDED"},
		"fragments that overflow":      {gqlhttp.Limits{}, doubling(99), "LIMIT_EXCEEDED"},
		"fragment in itself":           {gqlhttp.Limits{}, "{...A} fragment A on Query {...B} fragment B on Query {...A}", "INVALID"},
		"unused fragment in itself":    {gqlhttp.Limits{}, "{__typename} fragment A on Query {...A}", "INVALID"},
		"complexity":                   {gqlhttp.Limits{Complexity: 31}, "{things(first: 10) {edges {node {name}}}}", ""},
		"complexity over":              {gqlhttp.Limits{Complexity: 30}, "{things(first: 10) {edges {node {name}}}}", "LIMIT_EXCEEDED"},
		"complexity of last":           {gqlhttp.Limits{Complexity: 30}, "{things(last: 10) {edges {node {name}}}}", "LIMIT_EXCEEDED"},
		"complexity of the default":    {gqlhttp.Limits{Complexity: 60}, "{things {edges {node {name}}}}", "LIMIT_EXCEEDED"},
		"complexity of pages in pages": {gqlhttp.Limits{}, strings.ReplaceAll(deep(3), "first: 1", "first: 100"), "LIMIT_EXCEEDED"},
		"complexity without overflow":  {gqlhttp.Limits{}, strings.ReplaceAll(deep(6), "first: 1", "first: 2147483647"), "LIMIT_EXCEEDED"},
		"complexity by aliases":        {gqlhttp.Limits{}, "{" + many(30, "a%d: things(first: 1000) {edges {node {name}}} ") + "}", "LIMIT_EXCEEDED"},
		"defer":                        {gqlhttp.Limits{}, "{... @defer {__typename}}", "INVALID"},
		"introspection of GraphiQL":    {gqlhttp.Limits{}, introspection, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *gqlhttp.Config) { c.Limits = test.limits })
			for _, turn := range []string{"first", "from the cache"} {
				begin := time.Now()
				a := s.ask(t, test.query)
				var want []string
				if test.code != "" {
					want = []string{test.code}
				}
				if diff := cmp.Diff(want, a.codes()); diff != "" {
					t.Fatalf("%s: %s\n%.500s", turn, diff, a.raw)
				}
				if (a.Data != nil) == (test.code != "") {
					t.Errorf("%s: %.500s", turn, a.raw)
				}
				// none of these may take the seconds that they take an unguarded server
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("%s: took %s", turn, took)
				}
			}
		})
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.Limits.Errors = 5 })
	a := s.ask(t, "{things(first: 8) {edges {node {fail}}}}")
	if len(a.Errors) != 5 || a.Extensions["moreErrors"] != 3.0 {
		t.Errorf("%d errors, extensions %v", len(a.Errors), a.Extensions)
	}
	a = s.ask(t, "{"+many(9, "f%d ")+"}")
	if len(a.Errors) != 5 || a.Extensions["moreErrors"] != 4.0 {
		t.Errorf("%d errors, extensions %v", len(a.Errors), a.Extensions)
	}
}

func TestPageCost(t *testing.T) {
	t.Parallel()
	n := func(n int) *int { return &n }
	for name, test := range map[string]struct {
		child       int
		first, last *int
		want        int
	}{
		"default":     {3, nil, nil, 61},
		"first":       {3, n(10), nil, 31},
		"last":        {3, nil, n(10), 31},
		"both":        {3, n(5), n(10), 31},
		"none asked":  {3, n(0), nil, 1},
		"negative":    {3, n(-5), nil, 1},
		"empty child": {0, n(10), nil, 11},
		"huge":        {1 << 40, n(1 << 40), nil, 1<<31 - 1},
	} {
		if got := gqlhttp.PageCost(test.child, test.first, test.last, 20); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestIntrospectionOff(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.Introspection = false })
	for query, code := range map[string]string{
		introspection:                        "FORBIDDEN",
		`{__type(name: "Query") {name}}`:     "FORBIDDEN",
		`{ech(text: "x")}`:                   "GRAPHQL_VALIDATION_FAILED",
		`{echo(texd: "x")}`:                  "GRAPHQL_VALIDATION_FAILED",
		`query ($a: Strin) {echo(text: $a)}`: "GRAPHQL_VALIDATION_FAILED",
	} {
		a := s.ask(t, query)
		if len(a.Errors) == 0 || a.codes()[0] != code || strings.Contains(a.raw, "Did you mean") {
			t.Errorf("%.40s: %s", query, a.raw)
		}
	}
	if a := start(t, nil).ask(t, `{ech(text: "x")}`); !strings.Contains(a.raw, "Did you mean") {
		t.Errorf("no suggestion although the schema is open: %s", a.raw)
	}
}

// introspection is what GraphiQL asks at its start.
const introspection = `query IntrospectionQuery {
  __schema {
    queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description locations args(includeDeprecated: true) { ...InputValue } }
  }
}
fragment FullType on __Type {
  kind name description specifiedByURL
  fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
  inputFields(includeDeprecated: true) { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type {
  kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
}`
