package graph

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// A rehearsal finds out what a change would do to the policies that twins
// inherit. It makes the change on a copy of the hierarchy in memory, reads the
// memberships of the twins that it might concern, and decides for each set of
// memberships what is inherited before and after. Nothing is written and nobody
// waits (docs/adr/0016-rehearsals.md).

// plan is a change as a rehearsal sees it.
type plan struct {
	// after is the hierarchy as it would be.
	after *hierarchy
	// groups and relations count what would be moved, deleted, made or ended.
	groups, relations int
	// deleted counts what would be deleted.
	deleted int
	// held is what else has to be as it was when the change is made: the groups that
	// it takes along, and which of their relations is the newest.
	held []string
	// The twins that might be concerned: those in groups, those that are named,
	// with what they are the whole of, or everyone.
	in       []registry.ID
	twins    []registry.ID
	everyone bool
	// left are a twin's memberships after the change.
	left func(candidate) []registry.ID
}

// candidate is a twin that a change might concern, with its memberships.
type candidate struct {
	id             registry.ID
	key, reference string
	groups         []registry.ID
}

// planner makes the plan of a change, or says why the change would be refused.
// It reads with r and writes nothing.
type planner func(ctx context.Context, r runner, now *hierarchy) (*plan, error)

// rehearse returns what a change would do. Operation names the change with all
// that was asked for.
func (s *Store) rehearse(ctx context.Context, scope registry.Scope, operation any, make planner) (*registry.Rehearsal, error) {
	now, position, _, err := onHierarchy(ctx, s, scope, hierarchyGlance, params{},
		func(f fields) int64 { return int64(f.integer("position")) }, func(int64) []registry.ID { return nil })
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	out, digest, err := s.effects(ctx, s.reading(scope), now, make)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	out.Token = token{position, binding(scope, operation), digest}.text()
	return out, nil
}

// keepToToken refuses a change, before it is made, that would not do what its
// rehearsal said. An empty token promises nothing.
func (s *Store) keepToToken(ctx context.Context, tx *transaction, operation any, make planner) error {
	if tx.scope.Token == "" {
		return nil
	}
	t, ok := parseToken(tx.scope.Token)
	switch {
	case !ok || t.binding != binding(tx.scope, operation):
		return registry.WrongToken()
	case t.position == tx.position:
		return nil
	}
	now, err := s.hierarchyIn(ctx, tx)
	if err != nil {
		return err
	}
	_, digest, err := s.effects(ctx, tx, now, make)
	if err != nil {
		return err
	}
	if digest != t.digest {
		return registry.StaleToken()
	}
	return nil
}

// effects decides what a change would do.
func (s *Store) effects(ctx context.Context, r runner, now *hierarchy, make planner) (*registry.Rehearsal, digest, error) {
	p, err := make(ctx, r, now)
	if err != nil {
		return nil, digest{}, err
	}
	d := decider{now: now, after: p.after, known: map[string]registry.RehearsedEffect{}}
	err = p.each(ctx, r, func(c candidate) {
		left := c.groups
		if p.left != nil {
			left = p.left(c)
		}
		d.decide(c, c.groups, left)
	})
	if err != nil {
		return nil, digest{}, err
	}
	out := d.rehearsal()
	out.Groups, out.Relations, out.Deleted = p.groups, p.relations, p.deleted
	return out, digestOf(out, p.held...), nil
}

// decider decides what twins gain and lose, once for each set of memberships.
type decider struct {
	now, after *hierarchy
	known      map[string]registry.RehearsedEffect
	out        registry.Rehearsal
}

// decide notes the effect on a twin that is a member of groups and will be one of
// others.
func (d *decider) decide(c candidate, before, left []registry.ID) {
	slices.Sort(before)
	set := strings.Join(texts(before), " ") + "|" + strings.Join(texts(left), " ")
	effect, known := d.known[set]
	if !known {
		effect.Gained, effect.Lost = difference(d.now.inherited(before, nil), d.after.inherited(left, nil))
		d.known[set] = effect
	}
	d.note(c, effect)
}

// note adds the effect on a twin.
func (d *decider) note(c candidate, effect registry.RehearsedEffect) {
	if len(effect.Gained)+len(effect.Lost) == 0 {
		return
	}
	effect.ObjectID, effect.Key, effect.Reference, effect.Kind = c.id, c.key, c.reference, registry.KindAsset
	if strings.HasPrefix(c.key, devicesFirst) {
		effect.Kind = registry.KindDevice
	}
	d.out.Twin = append(d.out.Twin, effect)
	d.out.PoliciesGained += len(effect.Gained)
	d.out.PoliciesLost += len(effect.Lost)
}

// rehearsal is what was noted, in order.
func (d *decider) rehearsal() *registry.Rehearsal {
	d.out.Twins = len(d.out.Twin)
	slices.SortFunc(d.out.Twin, func(a, b registry.RehearsedEffect) int { return strings.Compare(a.Key, b.Key) })
	return &d.out
}

// difference tells which policies are inherited after but not before, and the
// other way around.
func difference(before, after []*ranked) (gained, lost []*registry.Policy) {
	without := func(all, others []*ranked) (out []*registry.Policy) {
		for _, r := range all {
			if !slices.ContainsFunc(others, func(o *ranked) bool { return o.policy.ID == r.policy.ID }) {
				out = append(out, r.policy)
			}
		}
		return out
	}
	return without(after, before), without(before, after)
}

// digest stands for all effects.
type digest [12]byte

// digestOf names policies by their references: one that is to be made has no id
// yet. What is held comes in any order.
func digestOf(r *registry.Rehearsal, held ...string) digest {
	h := sha256.New()
	fmt.Fprintln(h, r.Groups, r.Relations, slices.Sorted(slices.Values(held)))
	for _, e := range r.Twin {
		fmt.Fprint(h, e.ObjectID)
		for _, p := range e.Gained {
			fmt.Fprintf(h, " +%q", Fold(p.Reference))
		}
		for _, p := range e.Lost {
			fmt.Fprintf(h, " -%q", Fold(p.Reference))
		}
		fmt.Fprintln(h)
	}
	return digest(h.Sum(nil)[:12])
}

// binding stands for a change and the account that it is made in.
func binding(scope registry.Scope, operation any) digest {
	text, err := json.Marshal(operation)
	if err != nil {
		text = fmt.Append(nil, operation)
	}
	sum := sha256.Sum256(fmt.Appendf(text, " %s", scope.Account))
	return digest(sum[:12])
}

// token is what a rehearsal gives out: where the journal was, what was
// rehearsed, and what it would have done.
type token struct {
	position        int64
	binding, digest digest
}

func (t token) text() string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(t.position)) //nolint:gosec // positions are positive
	return base64.RawURLEncoding.EncodeToString(slices.Concat(raw, t.binding[:], t.digest[:]))
}

func parseToken(text string) (token, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return token{}, false
	}
	return token{int64(binary.BigEndian.Uint64(raw)), digest(raw[8:20]), digest(raw[20:])}, true //nolint:gosec // whatever it is, it is compared
}
