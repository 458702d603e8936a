package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// matchTexts holds the texts of candidates against a rule's regular expressions
// and sets the parameters of the rule to the ids of those that match.
func (p partPlanner) matchTexts(ctx context.Context, compiled *rule.Predicate) error {
	part, walk, err := p.from(ctx, compiled.Candidates)
	if err != nil {
		return err
	}
	if walk != "" {
		if err := checkWalks(ctx, p.runner, []string{walk}, p.plan.params, p.search); err != nil {
			return err
		}
	}
	columns := make([]string, len(compiled.Matchers))
	for i, m := range compiled.Matchers {
		columns[i] = m.Value
	}
	text := fmt.Sprintf("%s\nWITH DISTINCT n LIMIT %d\nRETURN collect([n.id, %s]) AS rows", part.match, registry.MaxCandidates+1, strings.Join(columns, ", "))
	rows, _, err := one(ctx, p.runner, query{"search.candidates", text}, p.plan.params, func(f fields) []any { return f.list("rows") })
	if err != nil {
		return fmt.Errorf("candidates of a search: %w", err)
	}
	return setMatching(rows, compiled.Matchers, p.plan.params)
}

// setMatching sets the parameters of regular expressions to the ids of those
// candidates that match. A row is an id and a text for each expression.
func setMatching(rows []any, matchers []rule.Matcher, p params) error {
	if len(rows) > registry.MaxCandidates {
		return registry.InvalidField("where", "matches", "more than %d objects would have to be matched with the regular expression: narrow the search by another condition, or begin the expression with ^ and some letters", registry.MaxCandidates)
	}
	for i, m := range matchers {
		ids := []string{}
		for _, row := range rows {
			values, ok := row.([]any)
			if !ok || len(values) != len(matchers)+1 {
				return fmt.Errorf("candidates of a search: a row of %v", row)
			}
			id, _ := values[0].(string)
			if text, isText := values[i+1].(string); isText && m.Match(text) {
				ids = append(ids, id)
			}
		}
		p[m.Param] = ids
	}
	return nil
}
