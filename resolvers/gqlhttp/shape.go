package gqlhttp

import (
	"context"
	"math"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/holon-registry/holon/registry"
)

// documentLimits measures a document before gqlgen validates it: validation and
// the counting of complexity both follow each fragment spread again, so a few
// hundred tokens of fragments that double would keep a core busy for hours.
type documentLimits struct {
	limits Limits
	// measured holds the documents that passed before; they are not measured
	// again.
	measured      graphql.Cache[*ast.QueryDocument]
	introspection bool
}

var _ graphql.OperationParameterMutator = documentLimits{}

// ExtensionName names the extension in gqlgen's errors.
func (documentLimits) ExtensionName() string { return "DocumentLimits" }

// Validate accepts every schema.
func (documentLimits) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters changes nothing; it refuses what is too large. A
// document that does not parse passes: gqlgen says what is wrong with it.
func (d documentLimits) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if _, ok := d.measured.Get(ctx, params.Query); ok {
		return nil
	}
	if err := d.scan(params.Query); err != nil {
		return gqlerror.Wrap(err)
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: params.Query}, d.limits.Tokens)
	if err != nil {
		return nil
	}
	if err := d.measure(document); err != nil {
		return gqlerror.Wrap(err)
	}
	return nil
}

// scan bounds tokens and nesting without recursion: the parser recurses for
// each bracket.
func (d documentLimits) scan(query string) error {
	tokens := lexer.New(&ast.Source{Input: query})
	depth := 0
	for n := 1; ; n++ {
		token, err := tokens.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return nil
		}
		if n > d.limits.Tokens {
			return registry.LimitExceeded("a document has at most %d tokens; send data in variables", d.limits.Tokens)
		}
		switch token.Kind {
		case lexer.BraceL, lexer.BracketL, lexer.ParenL:
			if depth++; depth > d.limits.Nesting {
				return registry.LimitExceeded("brackets nest at most %d deep", d.limits.Nesting)
			}
		case lexer.BraceR, lexer.BracketR, lexer.ParenR:
			depth--
		}
	}
}

// measure bounds every operation and every fragment, also those that nothing
// uses: validation visits them too.
func (d documentLimits) measure(document *ast.QueryDocument) error {
	if n := len(document.Operations); n > d.limits.Operations {
		return registry.LimitExceeded("a document has at most %d operations, not %d", d.limits.Operations, n)
	}
	if n := len(document.Fragments); n > d.limits.Fragments {
		return registry.LimitExceeded("a document has at most %d fragments, not %d", d.limits.Fragments, n)
	}
	m := meter{document: document, fragments: map[string]*size{}}
	for _, operation := range document.Operations {
		s := m.selections(operation.SelectionSet)
		s.directives += m.directives(operation.Directives)
		for _, variable := range operation.VariableDefinitions {
			s.directives += m.directives(variable.Directives)
		}
		if err := d.check(&m, s); err != nil {
			return err
		}
	}
	for _, fragment := range document.Fragments {
		s := m.fragment(fragment.Name)
		s.roots = 0 // only where it is spread can its fields be at the root
		if err := d.check(&m, s); err != nil {
			return err
		}
	}
	return nil
}

func (d documentLimits) check(m *meter, s size) error {
	l := d.limits
	switch {
	case m.cycle != "":
		return invalid("fragment %q contains itself", m.cycle)
	case m.deferred:
		// gqlgen would leave out what is deferred: no transport here sends parts
		return invalid("@defer is not supported")
	case m.introspects && !d.introspection:
		return registry.Forbidden("the schema is not open to introspection")
	case s.depth > l.Depth:
		return registry.LimitExceeded("fields nest at most %d deep, not %d", l.Depth, s.depth)
	case s.fields > l.Fields:
		return registry.LimitExceeded("an operation has at most %d fields, its fragments written out", l.Fields)
	case s.roots > l.RootFields:
		return registry.LimitExceeded("an operation has at most %d fields at its root, its fragments written out", l.RootFields)
	case s.aliases > l.Aliases:
		return registry.LimitExceeded("an operation has at most %d aliases, its fragments written out", l.Aliases)
	case s.directives > l.Directives:
		return registry.LimitExceeded("an operation has at most %d directives, its fragments written out", l.Directives)
	}
	return nil
}

// size is what a selection holds with its fragments written out.
type size struct{ depth, fields, roots, aliases, directives int }

// meter measures each fragment once, however often it is spread.
type meter struct {
	document    *ast.QueryDocument
	fragments   map[string]*size // nil while it is being measured
	cycle       string           // a fragment that contains itself
	introspects bool
	deferred    bool
}

func (m *meter) selections(set ast.SelectionSet) (total size) {
	for _, selection := range set {
		var part size
		switch s := selection.(type) {
		case *ast.Field:
			part = m.selections(s.SelectionSet)
			part.depth++
			part.fields++
			part.roots = 1
			if s.Alias != s.Name {
				part.aliases++
			}
			part.directives += m.directives(s.Directives)
			m.introspects = m.introspects || s.Name == "__schema" || s.Name == "__type"
		case *ast.InlineFragment:
			part = m.selections(s.SelectionSet)
			part.fields++ // a fragment is work even when it selects nothing
			part.directives += m.directives(s.Directives)
		case *ast.FragmentSpread:
			part = m.fragment(s.Name)
			part.fields++
			part.directives += m.directives(s.Directives)
		}
		total.depth = max(total.depth, part.depth)
		total.fields = plus(total.fields, part.fields)
		total.roots = plus(total.roots, part.roots)
		total.aliases = plus(total.aliases, part.aliases)
		total.directives = plus(total.directives, part.directives)
	}
	return total
}

func (m *meter) fragment(name string) size {
	if known, ok := m.fragments[name]; ok {
		if known == nil {
			m.cycle = name
			return size{}
		}
		return *known
	}
	m.fragments[name] = nil
	var s size
	if fragment := m.document.Fragments.ForName(name); fragment != nil {
		s = m.selections(fragment.SelectionSet)
		s.directives = plus(s.directives, m.directives(fragment.Directives))
	}
	m.fragments[name] = &s
	return s
}

func (m *meter) directives(list ast.DirectiveList) int {
	m.deferred = m.deferred || list.ForName("defer") != nil
	return len(list)
}

// plus adds counts without overflow: fragments that double reach 2^n.
func plus(a, b int) int { return min(a+b, math.MaxInt32) }
