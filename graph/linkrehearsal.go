package graph

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/holon-registry/holon/registry"
)

// linking is what tokens are bound to.
func linking(n registry.NewLink) any {
	since := ""
	if n.Since != nil {
		since = moment(n.Since.Truncate(time.Millisecond))
	}
	return []any{"link", n.Device, n.Asset, n.Measures, since, n.Replace}
}

// rehearseLink says what a link would do. Its token stands for what the device
// has measured until now: what it goes on to measure is no reason to refuse.
func (s *Store) rehearseLink(ctx context.Context, scope registry.Scope, n registry.NewLink) (*registry.Linked, error) {
	r := s.reading(scope)
	device, asset, err := findEnds(ctx, r, n.Device, n.Asset)
	if err != nil {
		return nil, err
	}
	ends, err := s.readEnds(ctx, r, scope, linkGlance, device, asset)
	if err != nil {
		return nil, err
	}
	p, err := planLink(ctx, r, ends, device, asset, n, s.now())
	if err != nil {
		return nil, err
	}
	out := &registry.Linked{Skipped: p.skipped}
	horizon := p.horizon()
	if out.Moved, err = p.count(ctx, r, horizon); err != nil {
		return nil, err
	}
	for _, o := range p.over {
		if len(o.taken) > 0 {
			o.link.AssetID, o.link.Until = asset, &o.until
			out.Ended = append(out.Ended, &o.link)
		}
	}
	out.Token = token{horizon, binding(scope, linking(n)), p.digest(out.Moved)}.text()
	return out, nil
}

// keepTo refuses a link that would not do what its rehearsal said.
func (p *linkPlan) keepTo(ctx context.Context, tx *transaction, n registry.NewLink) error {
	if tx.scope.Token == "" {
		return nil
	}
	t, ok := parseToken(tx.scope.Token)
	if !ok || t.binding != binding(tx.scope, linking(n)) {
		return registry.WrongToken()
	}
	moved, err := p.count(ctx, tx, t.position)
	if err != nil {
		return err
	}
	if p.digest(moved) != t.digest {
		return registry.StaleToken()
	}
	return nil
}

// staleLink is the refusal of a link: something is in its way that was not when
// it was rehearsed, if it was.
func staleLink(scope registry.Scope, n registry.NewLink, refusal error) error {
	t, ok := parseToken(scope.Token)
	reason, known := errors.AsType[*registry.Error](refusal)
	if !ok || !known || t.binding != binding(scope, linking(n)) {
		return refusal
	}
	stale := registry.StaleToken()
	stale.Message += ": " + reason.Message
	return stale
}

// everything is a horizon after all that can be measured.
const everything = int64(math.MaxInt64)
