package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

var (
	journalMoment = named("journal.moment", `
		MATCH (j:Journal {account: $account})
		RETURN j.position AS position, j.at AS at`)

	journalTouched = named("journal.touched", `
		MATCH (c:Change)
		WHERE c.account = $account AND c.position > $after AND c.position <= $upto
		RETURN collect(DISTINCT c.object) AS ids, collect(DISTINCT CASE WHEN c.kind = 'GROUP' AND c.action = 'moved' THEN c.object END) AS moved,
			collect(DISTINCT CASE WHEN c.operation = 'DELETE' THEN c.object END) AS deleted`)

	// Whose records name a group or something below it: members, policies, profiles,
	// other groups.
	recordsNaming = named("record.naming", `
		UNWIND $ids AS id
		MATCH (top:Entity {id: id})
		WHERE top.account = $account AND top:Group
		MATCH (top)<-[:CHILD_OF*0..32]-(g:Group)
		CALL (g) {
			RETURN g.id AS named
			UNION
			MATCH (g)<-[:!WAS_RELATED&!WAS_APPLIES_TO&!CHILD_OF&!WAS_CHILD_OF]-(x:Group|Device|Asset|Policy|Profile)
			RETURN x.id AS named
		}
		RETURN collect(DISTINCT named) AS ids`)

	// Whose records named something that is gone.
	recordsNamedGone = named("record.namedGone", `
		UNWIND $ids AS id
		MATCH (gone:Entity {id: id})
		WHERE gone.account = $account AND gone:Gone
		MATCH (gone)<-[:WAS_RELATED|WAS_APPLIES_TO|WAS_PART_OF|WAS_COMPONENT_OF|LINKED_TO]-(x:Group|Device|Asset|Policy)
		RETURN collect(DISTINCT x.id) AS ids`)
)

// Moment returns where the account's journal is: the position of its last
// change, and when that was.
func (s *Store) Moment(ctx context.Context, scope registry.Scope) (position int64, at time.Time, err error) {
	type moment struct {
		position int64
		at       time.Time
	}
	// In write mode, so that a cluster answers from where it was written.
	m, ok, err := one(ctx, s.writing(scope), journalMoment, nil, func(f fields) moment {
		return moment{required[int64](f, "position"), f.time("at")}
	})
	if err != nil {
		return 0, at, fmt.Errorf("moment: %w", err)
	}
	if !ok {
		return 0, at, registry.NotFound("account", string(scope.Account))
	}
	return m.position, m.at, nil
}

// Touched returns the ids of all objects whose records may differ before and
// after the changes of the positions from after (not included) to upto: those
// that changed, and those that name one whose key changed or that is gone.
func (s *Store) Touched(ctx context.Context, scope registry.Scope, after, upto int64) ([]registry.ID, error) {
	type answer struct{ ids, moved, deleted []registry.ID }
	got, _, err := one(ctx, s.writing(scope), journalTouched, params{"after": after, "upto": upto}, func(f fields) answer {
		return answer{f.ids("ids"), f.ids("moved"), f.ids("deleted")}
	})
	if err != nil {
		return nil, fmt.Errorf("touched: %w", err)
	}
	for _, more := range []struct {
		query query
		ids   []registry.ID
	}{{recordsNaming, got.moved}, {recordsNamedGone, got.deleted}, {recordMotionOfGone, got.deleted}} {
		if len(more.ids) == 0 {
			continue
		}
		named, _, err := one(ctx, s.writing(scope), more.query, params{"ids": texts(more.ids)}, func(f fields) []registry.ID { return f.ids("ids") })
		if err != nil {
			return nil, fmt.Errorf("touched: %w", err)
		}
		got.ids = append(got.ids, named...)
	}
	return got.ids, nil
}

// HoldWriters runs work while nobody changes objects of the account: writers
// wait until it is done. Work has seconds, not minutes, and may run again.
func (s *Store) HoldWriters(ctx context.Context, scope registry.Scope, work func(ctx context.Context) error) error {
	if err := change(ctx, s, scope, "journal.hold", func(ctx context.Context, _ *transaction) error { return work(ctx) }); err != nil {
		return fmt.Errorf("hold writers: %w", err)
	}
	return nil
}
