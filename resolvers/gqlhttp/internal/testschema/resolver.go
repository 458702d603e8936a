package testschema

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
)

// Secret is in every error that callers must not see the text of.
const Secret = "bolt://10.1.2.3:7687"

// New makes the executable schema and its resolver.
func New() (*Resolver, Config) {
	r := new(Resolver)
	config := Config{Resolvers: r}
	page := func(child int, first, last *int) int { return gqlhttp.PageCost(child, first, last, 20) }
	config.Complexity.Query.Things = page
	config.Complexity.Thing.Things = page
	return r, config
}

// Resolver answers all fields.
type Resolver struct {
	// Ended counts the subscriptions whose goroutines have returned.
	Ended atomic.Int64
	// Started counts those that began.
	Started atomic.Int64
	bumps   atomic.Int64
}

type loaderKey struct{}

// WithLoader adds a loader that counts how often it is asked.
func WithLoader(ctx context.Context) context.Context {
	return context.WithValue(ctx, loaderKey{}, new(atomic.Int64))
}

// Query returns the resolver of queries.
func (r *Resolver) Query() QueryResolver { return query{r} }

// Mutation returns the resolver of mutations.
func (r *Resolver) Mutation() MutationResolver { return mutation{r} }

// Subscription returns the resolver of subscriptions.
func (r *Resolver) Subscription() SubscriptionResolver { return subscription{r} }

// Thing returns the resolver of things.
func (r *Resolver) Thing() ThingResolver { return thing{} }

type query struct{ *Resolver }

func (query) Echo(_ context.Context, text string) (string, error) { return text, nil }

func (query) Even(_ context.Context, number Even) (int, error) { return int(number), nil }

func (query) Things(ctx context.Context, first, last *int) (*ThingConnection, error) {
	return things(ctx, first)
}

func things(ctx context.Context, first *int) (*ThingConnection, error) {
	registry.CountGraph(ctx)
	size := 20
	if first != nil {
		size = *first
	}
	page := new(ThingConnection)
	for n := range size {
		page.Edges = append(page.Edges, &ThingEdge{Node: &Thing{Name: fmt.Sprintf("thing %d", n)}})
	}
	return page, nil
}

func (query) Fail(ctx context.Context, how string) (*string, error) {
	driver := errors.New("dial " + Secret)
	switch how {
	case "driver":
		return nil, fmt.Errorf("read things: %w", driver)
	case "panic":
		panic(Secret)
	case "notFound":
		return nil, fmt.Errorf("read things: %w", registry.NotFound("thing", "x"))
	case "invalid":
		return nil, registry.Invalid(registry.Violation{Path: "attributes.colour", Rule: "required", Message: "is required"})
	case "unavailable":
		return nil, registry.Unavailable("graph", driver)
	case "internal":
		return nil, &registry.Error{Code: registry.CodeInternal, Message: Secret}
	case "deadline":
		return nil, fmt.Errorf("read things: %w", context.DeadlineExceeded)
	case "timeout":
		<-ctx.Done()
		return nil, registry.Unavailable("graph", driver)
	}
	return nil, nil
}

func (query) Hang(ctx context.Context) (*string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

type mutation struct{ *Resolver }

func (m mutation) Bump(context.Context) (int, error) { return int(m.bumps.Add(1)), nil }

type thing struct{}

func (thing) Loads(ctx context.Context, _ *Thing) (int, error) {
	return int(ctx.Value(loaderKey{}).(*atomic.Int64).Add(1)), nil
}

func (thing) Fail(context.Context, *Thing) (*string, error) {
	return nil, registry.Conflict("name", "the name is taken")
}

func (thing) Things(ctx context.Context, _ *Thing, first, _ *int) (*ThingConnection, error) {
	return things(ctx, first)
}

type subscription struct{ *Resolver }

func (s subscription) Count(ctx context.Context, to int, then *string) (<-chan *Event, error) {
	s.Started.Add(1)
	return gqlhttp.Stream(ctx, func(ctx context.Context, send func(*Event) bool) error {
		defer s.Ended.Add(1)
		for n := range to {
			if !send(&Event{Number: n + 1, Thing: &Thing{Name: "counted"}}) {
				return nil
			}
		}
		switch *then {
		case "error":
			return fmt.Errorf("count: %w", &registry.Error{Code: registry.CodeCursorExpired, Message: "the cursor is too old"})
		case "panic":
			panic(Secret)
		case "never":
			<-ctx.Done()
		}
		return nil
	}), nil
}

func (s subscription) Flood(ctx context.Context) (<-chan *Event, error) {
	s.Started.Add(1)
	text := strings.Repeat("x", 256<<10)
	return gqlhttp.Stream(ctx, func(ctx context.Context, send func(*Event) bool) error {
		defer s.Ended.Add(1)
		for n := 0; send(&Event{Number: n, Thing: &Thing{}, Text: text}); n++ {
		}
		return nil
	}), nil
}

func (subscription) Refused(context.Context) (<-chan *Event, error) {
	return nil, registry.Forbidden("this key may not subscribe")
}
