package graph

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// ruled makes the rule of a filter a part of its text, and returns the
// parameters of both. Regular expressions are matched here.
func (s *Store) ruled(ctx context.Context, scope registry.Scope, id registry.ID, f RelatedFilter) (RelatedFilter, params, error) {
	p := f.params(id)
	if f.Where == "" {
		return f, p, nil
	}
	where, err := rule.Parse(f.Where)
	if err != nil {
		return f, nil, err
	}
	conditions := map[registry.Kind]string{}
	for _, kind := range registry.Kinds {
		if f.Kind != "" && f.Kind != kind {
			continue
		}
		compiled, err := where.Compile(kind, paramPrefix[kind])
		if err != nil {
			return f, nil, err
		}
		maps.Copy(p, compiled.Params)
		if len(compiled.Matchers) > 0 {
			narrow := f
			narrow.Kind, narrow.where = kind, map[registry.Kind]string{kind: rule.Text(compiled.Candidates)}
			if err := s.matchRelated(ctx, scope, narrow, compiled.Matchers, p); err != nil {
				return f, nil, err
			}
		}
		conditions[kind] = rule.Text(compiled.Conjuncts)
	}
	f.where = conditions
	return f, p, nil
}

// matchRelated holds the texts of candidates against regular expressions, see
// matchTexts.
func (s *Store) matchRelated(ctx context.Context, scope registry.Scope, f RelatedFilter, matchers []rule.Matcher, p params) error {
	columns := make([]string, len(matchers))
	for i, m := range matchers {
		columns[i] = m.Value
	}
	q := query{"related.candidates", strings.Replace(relatedFrom, "RELATIONS", f.match(), 1) +
		fmt.Sprintf("\n\tWITH DISTINCT n LIMIT %d\n\tRETURN collect([n.id, %s]) AS rows", registry.MaxCandidates+1, strings.Join(columns, ", "))}
	rows, _, err := one(ctx, s.reading(scope), q, p, func(row fields) []any { return row.list("rows") })
	if err != nil {
		return fmt.Errorf("candidates among related: %w", err)
	}
	return setMatching(rows, matchers, p)
}
