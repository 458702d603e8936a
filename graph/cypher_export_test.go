package graph

import (
	"context"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/registry"
)

// Query is a named query of the store, for tests.
type Query struct{ Name, Text string }

// Queries lists every query that the store can run, those that are put together
// included, with a relation's name filled in.
func Queries() []Query {
	var out []Query
	for _, q := range queries {
		out = append(out, Query{q.name, q.text})
	}
	relation := "located_at"
	for _, deep := range []bool{false, true} {
		for _, by := range []*string{nil, &relation} {
			for _, kind := range []*registry.Kind{nil, new(registry.KindDevice)} {
				for _, narrow := range []MemberFilter{{}, {Template: "t", State: registry.StateActive}} {
					narrow.Kind, narrow.Relation, narrow.Deep = kind, by, deep
					l, err := narrow.listing()
					if err != nil {
						panic(err)
					}
					out = append(out, Query{"group.members", l.text(false, true)}, Query{"group.members", l.text(true, false)}, Query{"group.countMembers", memberCount(l).text})
				}
			}
		}
	}
	return append(out,
		Query{"relation.relate", typedText(relateText, relation)},
		Query{"relation.unrelate", typedText(unrelateText, relation)})
}

// Cypher runs any text in a transaction of its own and returns its rows.
func (s *Store) Cypher(ctx context.Context, scope registry.Scope, text string, p map[string]any) ([]map[string]any, error) {
	records, err := s.writing(scope).run(ctx, query{"test", text}, p)
	rows := make([]map[string]any, len(records))
	for i, record := range records {
		rows[i] = record.AsMap()
	}
	return rows, err
}

// Profiled runs a text, undoes what it did, and returns how it was done.
func (s *Store) Profiled(ctx context.Context, scope registry.Scope, text string, p map[string]any) (neo4j.ProfiledPlan, error) {
	session := s.session(ctx, neo4j.AccessModeWrite)
	defer session.Close(ctx)
	tx, err := session.BeginTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Close(ctx)
	result, err := tx.Run(ctx, "PROFILE "+inMap(text), withScope(p, scope))
	if err != nil {
		return nil, err
	}
	summary, err := result.Consume(ctx)
	if err != nil {
		return nil, err
	}
	return summary.Profile(), nil
}

// Explain returns how a text would be done. It needs no parameters.
func (s *Store) Explain(ctx context.Context, scope registry.Scope, text string) (neo4j.Plan, error) {
	session := s.session(ctx, neo4j.AccessModeRead)
	defer session.Close(ctx)
	result, err := session.Run(ctx, "EXPLAIN "+inMap(text), withScope(nil, scope))
	if err != nil {
		return nil, err
	}
	summary, err := result.Consume(ctx)
	if err != nil {
		return nil, err
	}
	return summary.Plan(), nil
}

// AwaitWords waits until the full-text index has caught up.
func (s *Store) AwaitWords(ctx context.Context) error {
	return nothing(ctx, s.reading(registry.Scope{}), query{"test", "CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()"}, nil)
}

// SearchTexts returns what a search is turned into: a page after a cursor, and
// its summary.
func (s *Store) SearchTexts(ctx context.Context, scope registry.Scope, search registry.Search, facets []registry.FacetRequest) ([]string, error) {
	plan, err := s.planSearch(ctx, s.reading(scope), scope, search)
	if err != nil {
		return nil, err
	}
	at := pageStart{given: true, kind: kindRank(plan.parts[0].kind), key: "d00100"}
	for range plan.order {
		at.ranks, at.values = append(at.ranks, 0), append(at.values, int64(1))
	}
	texts := []string{plan.pageText(at, plan.params)}
	counted, err := facetsFor(facets)
	if err != nil {
		return nil, err
	}
	if texts = append(texts, plan.facetText(counted, plan.params)); plan.throughAll(facets) {
		texts = append(texts, plan.allText(at, counted, plan.params))
	}
	return texts, nil
}

// InMap is what is sent of a statement.
func InMap(text string) string { return inMap(text) }
