package resolvers

import (
	"context"
	"time"

	"github.com/holon-registry/holon/registry"
)

// A field that is asked as of a moment hands the moment down to all that is
// selected below it: the context of its resolver is that of its children.

type momentKey struct{}

// beforeField refuses nulls that would change nothing, and sets the moment of a
// field with the argument asOf, if history reaches back to it. Changes are told
// as they are known now.
func (r *Resolver) beforeField(ctx context.Context, arguments map[string]any) (context.Context, error) {
	if err := checkNulls(ctx, arguments); err != nil {
		return ctx, err
	}
	at, ok := arguments["asOf"].(*time.Time)
	if !ok || at == nil {
		return ctx, nil
	}
	if err := r.Graph.CheckMoment(ctx, scopeFrom(ctx), *at); err != nil {
		return ctx, err
	}
	return context.WithValue(ctx, momentKey{}, at), nil
}

// momentFrom returns the moment that a field is asked as of, nil for now.
func momentFrom(ctx context.Context) *time.Time {
	at, _ := ctx.Value(momentKey{}).(*time.Time)
	return at
}

// present returns the scope of a field that can only be asked about now.
func presentScope(ctx context.Context) (registry.Scope, error) {
	scope := scopeFrom(ctx)
	return scope, onlyNow(scope)
}

// onlyNow refuses what an object that is asked as of a moment does not tell.
func onlyNow(scope registry.Scope) error {
	if scope.AsOf == nil {
		return nil
	}
	return registry.InvalidField("asOf", "unsupported", "what was measured is not asked as of a moment: ask the object as it is now for measurements, samples or aggregate, from and to a time")
}

// at returns the loaders of a moment.
func (l *loaders) at(moment *time.Time) *loaders {
	l.mu.Lock()
	defer l.mu.Unlock()
	past, ok := l.past[moment.UnixMilli()]
	if !ok {
		scope := l.scope
		scope.AsOf = moment
		past = newLoaders(l.resolver, scope)
		if l.past == nil {
			l.past = map[int64]*loaders{}
		}
		l.past[moment.UnixMilli()] = past
	}
	return past
}
