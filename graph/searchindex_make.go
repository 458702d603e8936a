package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Indexes for what templates declare searched. A new index waits for all open
// writes, and all later writes wait for it; so one process makes them, one after
// the other, apart from requests, and gives up soon to try again later.

const (
	// indexTurn is how often wishes are looked at.
	indexTurn = 2 * time.Second
	// indexLease is how long the process that makes indexes is the only one.
	indexLease = 30 * time.Second
	// indexWait is how long a new index may wait for open writes.
	indexWait = 2 * time.Second
	// maxIndexes bounds the indexes of attributes in the whole database.
	maxIndexes = 400
)

var indexesWanted = named("index.wanted", `
	MATCH (t:Template)
	WHERE t.searched IS NOT NULL AND t.status = 'PUBLISHED'
	UNWIND t.searched AS name
	RETURN collect(DISTINCT [t.kind, name]) AS wanted`)

// attributeIndex is the index of an attribute.
type attributeIndex struct {
	kind     registry.Kind
	property string
}

// MakeIndexes makes the indexes that templates ask for, as long as the context
// lives. Any number of processes may run it.
func (s *Store) MakeIndexes(ctx context.Context) error {
	holder := string(newID())
	ticker := time.NewTicker(indexTurn)
	defer ticker.Stop()
	for {
		if err := s.makeIndexes(ctx, holder); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("indexes are left for later")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// makeIndexes takes one turn.
func (s *Store) makeIndexes(ctx context.Context, holder string) error {
	wanted, _, err := one(ctx, s.reading(registry.Scope{}), indexesWanted, nil, func(f fields) []attributeIndex {
		var out []attributeIndex
		for _, item := range f.list("wanted") {
			if pair, ok := item.([]any); ok && len(pair) == 2 {
				kind, _ := pair[0].(string)
				name, _ := pair[1].(string)
				out = append(out, attributeIndex{registry.Kind(kind), name})
			}
		}
		return out
	})
	if err != nil {
		return fmt.Errorf("read what is searched: %w", err)
	}
	if err := s.indexes.read(ctx, s); err != nil {
		return err
	}
	wanted = slices.DeleteFunc(wanted, func(i attributeIndex) bool {
		return s.indexes.has(i.kind, i.property) && !s.indexes.dueAgain(i.kind, i.property)
	})
	if len(wanted) == 0 {
		return nil
	}
	if held, err := s.holds(ctx, "indexes", holder, indexLease); err != nil || !held {
		return err
	}
	defer s.giveAfter(ctx, "indexes", holder)
	slices.SortFunc(wanted, func(a, b attributeIndex) int {
		return strings.Compare(string(a.kind)+a.property, string(b.kind)+b.property)
	})
	for _, index := range wanted {
		if s.indexes.count() >= maxIndexes {
			return registry.LimitExceeded("the database has %d indexes of attributes: there is no room for %s", maxIndexes, index.property)
		}
		if err := s.makeIndex(ctx, index); err != nil {
			return err
		}
		if err := s.indexes.read(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// makeIndex makes an index; the database fills it in the background.
func (s *Store) makeIndex(ctx context.Context, index attributeIndex) error {
	top, _, _ := strings.Cut(index.property, ".")
	if violation := registry.CheckAttributeName("searched", index.kind, top); violation != nil {
		return registry.Invalid(*violation)
	}
	hasty := *s
	hasty.timeout = indexWait
	name := fmt.Sprintf("`%s%s_%s`", indexPrefix, strings.ToLower(label(index.kind)), index.property)
	if s.indexes.failed(index.kind, index.property) {
		if err := hasty.changeSchema(ctx, query{"index.drop", "DROP INDEX " + name + " IF EXISTS"}); err != nil {
			return fmt.Errorf("drop the index of %s, which failed: %w", index.property, err)
		}
	}
	text := fmt.Sprintf("CREATE INDEX %s IF NOT EXISTS FOR (n:%s) ON (n.account, n.`%s`)", name, label(index.kind), index.property)
	if err := hasty.changeSchema(ctx, query{"index.make", text}); err != nil {
		return fmt.Errorf("make an index of %s: %w", index.property, err)
	}
	s.indexes.made(index.kind, index.property)
	return nil
}

// SearchIndexes tells of the indexes of what a template declares searched.
func (s *Store) SearchIndexes(ctx context.Context, t *registry.Template) ([]registry.SearchIndex, error) {
	out := make([]registry.SearchIndex, len(t.Searched))
	if len(out) == 0 {
		return out, nil
	}
	if err := s.indexes.refresh(ctx, s); err != nil {
		return nil, err
	}
	for i, name := range t.Searched {
		out[i] = registry.SearchIndex{Name: name, State: registry.IndexBuilding}
		switch {
		case s.indexes.online(t.Kind, name):
			out[i].State = registry.IndexOnline
		case s.indexes.failed(t.Kind, name):
			out[i].State = registry.IndexFailed
		}
	}
	return out, nil
}
