package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// Many objects in one request. Each item is checked and has an outcome of its
// own; what one query can do for all of them, it does. A single object is a
// batch of one.

const (
	// bulkItems and bulkWeight bound what one query, and one transaction of a
	// batch that is not atomic, is about. A write transaction stays short, since
	// the account's other writers wait for it.
	bulkItems  = 500
	bulkWeight = 5000
	// atomicWeight bounds a transaction that has to hold everything.
	atomicWeight = 100_000
)

// outcome is what became of one item of a batch.
type outcome struct {
	thing registry.Related
	err   error
	// made says that the thing was not there before.
	made bool
}

// bulk is work on many items.
type bulk struct {
	// name is that of the change, list that of the input's list.
	name, list string
	// asked is all that was asked for; tokens of rehearsals are bound to it.
	asked any
	// at is where an item stands in the input, if it has more than one list.
	at    func(i int) string
	items int
	// order has the places in the input of the items, which are done in another
	// order; nil where they are done as they come.
	order []int
	// weight is what an item costs beside itself, for instance its relations.
	weight func(i int) int
	// work does the items from one to before another and sets their outcomes. It
	// returns what is no single item's fault.
	work func(ctx context.Context, tx *transaction, from, to int, out []outcome) error
}

// alone runs a batch of one item.
func (s *Store) alone(ctx context.Context, scope registry.Scope, b bulk) (registry.Related, error) {
	out, err := s.aloneOutcome(ctx, scope, b)
	return out.thing, err
}

func (s *Store) aloneOutcome(ctx context.Context, scope registry.Scope, b bulk) (outcome, error) {
	out := make([]outcome, 1)
	err := triable(ctx, s, scope, b.name, b.asked, func(ctx context.Context, tx *transaction) error {
		if err := b.work(ctx, tx, 0, 1, out); err != nil {
			return err
		}
		return out[0].err
	})
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", b.name, err)
	}
	return out[0], nil
}

// together runs a batch in one transaction. If it is atomic, all of it is done,
// or nothing; if not, what is wrong with one item stops no other.
func (s *Store) together(ctx context.Context, scope registry.Scope, b bulk, atomic bool) ([]outcome, error) {
	weight := b.items
	for i := range b.items {
		weight += b.weight(i)
	}
	if weight > atomicWeight {
		return nil, registry.LimitExceeded("a request that is atomic, or rehearsed, is about at most %d objects and relations: split it", atomicWeight)
	}
	out := make([]outcome, b.items)
	err := triable(ctx, s, scope, b.name, b.asked, func(ctx context.Context, tx *transaction) error {
		for from := 0; from < b.items; {
			to := b.part(from)
			if err := b.work(ctx, tx, from, to, out); err != nil {
				return err
			}
			from = to
		}
		if !atomic {
			return nil
		}
		return refusal(b.place, b.asGiven(out))
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	return out, nil
}

// apart runs a batch in short transactions: what is wrong with one item stops
// no other.
func (s *Store) apart(ctx context.Context, scope registry.Scope, b bulk) []outcome {
	out := make([]outcome, b.items)
	for from := 0; from < b.items; {
		to := b.part(from)
		s.runPart(ctx, scope, b, from, to, out)
		from = to
		if err := out[to-1].err; err != nil && registry.CodeOf(err) == registry.CodeUnavailable {
			for i := to; i < b.items; i++ {
				out[i] = outcome{err: err}
			}
			break
		}
	}
	return out
}

// runPart runs a part of a batch. If it fails as a whole, halves of it find out
// whose fault that was.
func (s *Store) runPart(ctx context.Context, scope registry.Scope, b bulk, from, to int, out []outcome) {
	err := change(ctx, s, scope, b.name, func(ctx context.Context, tx *transaction) error {
		return b.work(ctx, tx, from, to, out)
	})
	if err == nil {
		return
	}
	if to-from > 1 && registry.CodeOf(err) != registry.CodeUnavailable && ctx.Err() == nil {
		middle := (from + to) / 2
		s.runPart(ctx, scope, b, from, middle, out)
		s.runPart(ctx, scope, b, middle, to, out)
		return
	}
	for i := from; i < to; i++ {
		out[i] = outcome{err: fmt.Errorf("%s: %w", b.name, err)}
	}
}

// asGiven puts outcomes into the order of the input.
func (b bulk) asGiven(out []outcome) []outcome {
	if b.order == nil {
		return out
	}
	given := make([]outcome, len(out))
	for i, place := range b.order {
		given[place] = out[i]
	}
	return given
}

// part returns where the part that begins at an item ends.
func (b bulk) part(from int) (to int) {
	weight := b.weight(from)
	for to = from + 1; to < b.items && to-from < bulkItems; to++ {
		if weight += b.weight(to); weight > bulkWeight {
			break
		}
	}
	return to
}

// place is where an item stands in the input.
func (b bulk) place(i int) string {
	if b.at != nil {
		return b.at(i)
	}
	return placeIn(b.list)(i)
}

// placeIn is where the items of a list stand.
func placeIn(list string) func(i int) string {
	return func(i int) string { return fmt.Sprintf("%s[%d]", list, i) }
}

// maxRefusals bounds what the refusal of a batch lists.
const maxRefusals = 100

// refusal is the error of a batch of which some items are wrong, nil if none
// is. Its code is that of the first one; its violations say which and why.
func refusal(place func(i int) string, out []outcome) error {
	var first *registry.Error
	var violations []registry.Violation
	for i, item := range out {
		if item.err == nil {
			continue
		}
		e, ok := errors.AsType[*registry.Error](item.err)
		if !ok {
			return item.err
		}
		path := place(i)
		if first == nil {
			first = &registry.Error{Code: e.Code, Field: path, Message: path + ": " + e.Message, Cause: e.Cause}
		}
		if len(e.Violations) == 0 {
			violations = append(violations, registry.Violation{Path: path, Rule: Fold(string(e.Code)), Message: e.Message})
		}
		for _, v := range e.Violations {
			violations = append(violations, registry.Violation{Path: path + "." + v.Path, Rule: v.Rule, Message: v.Message})
		}
	}
	if first == nil {
		return nil
	}
	first.Violations = violations[:min(len(violations), maxRefusals)]
	return first
}

// itsOwn says whether an error is an item's own. What else goes wrong is about
// the whole transaction.
func itsOwn(err error) bool {
	_, ok := errors.AsType[*registry.Error](err)
	return ok && registry.CodeOf(err) != registry.CodeUnavailable
}
