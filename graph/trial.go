package graph

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// A trial finds out what a change would do by making it. What a request of
// bounded size can do is tried: the change is made in a transaction, the
// memberships before and after it are read there, and the transaction is undone.
// What concerns whole sub-trees is planned on a copy instead (rehearse.go;
// docs/adr/0039-rehearsals-by-trial.md).

// errTried undoes a change that was only to be tried.
var errTried = errors.New("graph: the change was tried and undone")

// triable is change for what can be rehearsed by trying. Asked names the change
// with all that was asked for: tokens are bound to it.
func triable(ctx context.Context, s *Store, scope registry.Scope, name string, asked any, work func(ctx context.Context, tx *transaction) error) error {
	into := scope.Rehearsal
	scope.Rehearsal = nil
	t := trial{store: s, binding: binding(scope, []any{name, asked}), work: work}
	err := change(ctx, s, scope, name, func(ctx context.Context, tx *transaction) error {
		if into == nil {
			return t.keep(ctx, tx)
		}
		told, err := t.try(ctx, tx)
		if err != nil {
			return err
		}
		*into = *told
		return errTried
	})
	if errors.Is(err, errTried) {
		return nil
	}
	return err
}

// trial is a change that can be tried.
type trial struct {
	store   *Store
	binding digest
	work    func(ctx context.Context, tx *transaction) error
}

// keep makes the change, unless a token was given and it would not do any more
// what its rehearsal said.
func (t trial) keep(ctx context.Context, tx *transaction) error {
	if tx.scope.Token == "" {
		return t.work(ctx, tx)
	}
	given, ok := parseToken(tx.scope.Token)
	switch {
	case !ok || given.binding != t.binding:
		return registry.WrongToken()
	case given.position == tx.position:
		return t.work(ctx, tx)
	}
	told, err := t.try(ctx, tx)
	if err != nil {
		return err
	}
	if now, _ := parseToken(told.Token); now.digest != given.digest {
		return registry.StaleToken()
	}
	return nil
}

// try makes the change in its transaction and says what it did.
func (t trial) try(ctx context.Context, tx *transaction) (*registry.Rehearsal, error) {
	now, err := t.store.hierarchyIn(ctx, tx)
	if err != nil {
		return nil, err
	}
	if err := t.work(ctx, tx); err != nil {
		return nil, err
	}
	after, err := now.after(tx.newsOfEntries())
	if err != nil {
		return nil, movingGround(err)
	}
	d := decider{now: now, after: after, known: map[string]registry.RehearsedEffect{}}
	if err := d.tried(ctx, tx); err != nil {
		return nil, err
	}
	out := d.rehearsal()
	tx.count(out)
	out.Token = token{tx.position, t.binding, tx.digest(out)}.text()
	return out, nil
}

// newsOfEntries are the changes of structure that were recorded.
func (t *transaction) newsOfEntries() []news {
	var out []news
	for _, e := range t.entries {
		if e.structural {
			out = append(out, news{
				structure: t.structure + int64(len(out)) + 1, kind: e.kind, object: e.id, operation: e.operation, after: e.after,
			})
		}
	}
	return out
}

// count counts what was recorded.
func (t *transaction) count(out *registry.Rehearsal) {
	links := map[any]bool{}
	for _, e := range t.entries {
		switch e.operation {
		case registry.ChangeCreate:
			out.Made++
		case registry.ChangeDelete:
			out.Deleted++
			if e.kind == registry.ObjectGroup {
				out.Groups++
			}
		}
		for _, d := range e.relations {
			if strings.HasPrefix(d.Path, "relations.") {
				out.Relations++
			} else if end, ok := d.Before.(map[string]any); ok && d.Path == "links" {
				links[end["id"]] = true
			}
		}
	}
	out.Links = len(links)
}

// digest stands for what was recorded, and for its effects. Objects that were
// made have other ids each time.
func (t *transaction) digest(out *registry.Rehearsal) digest {
	lines := make([]string, 0, len(t.entries)+1)
	for _, e := range t.entries {
		line := fmt.Sprintf("%s %s %q", e.operation, e.kind, Fold(e.key))
		if e.operation != registry.ChangeCreate {
			line += " " + string(e.id)
		}
		ends := make([]string, len(e.relations))
		for i, d := range e.relations {
			ends[i] = fmt.Sprintf(" %s %q %q", d.Path, farKey(d.Before), farKey(d.After))
		}
		slices.Sort(ends)
		lines = append(lines, line+strings.Join(ends, ""))
	}
	slices.Sort(lines)
	effects := digestOf(out)
	h := sha256.New()
	fmt.Fprintf(h, "%x\n%s", effects, strings.Join(lines, "\n"))
	return digest(h.Sum(nil)[:12])
}

// farKey is the key of the other end of a difference.
func farKey(end any) string {
	fields, _ := end.(map[string]any)
	key, _ := fields["key"].(string)
	return Fold(key)
}
