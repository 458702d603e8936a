package resolvers

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/twin"
)

// Resolver holds what the resolvers need.
type Resolver struct {
	Graph *graph.Store
	// Live reads the newest values, from Redis or else from the graph.
	Live *twin.Live
	// Feed tells what changes.
	Feed *twin.Store
	// Readings takes readings in.
	Readings Recorder
	Log      zerolog.Logger
}

// Recorder puts readings into the queue. It returns when they are safe there,
// or an error that says which reading is wrong; then none was taken.
type Recorder interface {
	Record(ctx context.Context, by registry.Principal, source string, readings []registry.Reading) error
	// Replay tries dead letters again.
	Replay(ctx context.Context, by registry.Principal, request registry.ReplayRequest) (registry.Replayed, error)
	// Reprocess decodes payloads anew.
	Reprocess(ctx context.Context, by registry.Principal, request registry.ReprocessRequest) (registry.Reprocessed, error)
}

type principalKey struct{}

// WithPrincipal makes a context for a request of a principal.
func WithPrincipal(ctx context.Context, p registry.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// principalFrom returns who makes the request. The server lets no operation
// through without one.
func principalFrom(ctx context.Context) registry.Principal {
	p, _ := ctx.Value(principalKey{}).(registry.Principal)
	return p
}

// scopeFrom returns whose objects the request is about.
func scopeFrom(ctx context.Context) registry.Scope {
	scope := principalFrom(ctx).Scope
	scope.Request = gqlhttp.RequestID(ctx)
	scope.AsOf = momentFrom(ctx)
	return scope
}

// absent turns NOT_FOUND into null, which is how GraphQL says it for a field
// that may be null.
func absent[T any](v *T, err error) (*T, error) {
	if err != nil && registry.CodeOf(err) == registry.CodeNotFound {
		return nil, nil
	}
	return v, err
}

// forget removes the live state of twins that were deleted. That it could not
// is no reason to fail: nobody can ask for them any more.
func (r *Resolver) forget(ctx context.Context, twins ...registry.ID) {
	if err := r.Feed.Forget(ctx, scopeFrom(ctx), twins...); err != nil {
		r.Log.Warn().Err(err).Int("twins", len(twins)).Msg("live states were not removed")
	}
}
