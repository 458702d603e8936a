package resolvers

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/rule"
	"github.com/holon-registry/holon/twin"
)

// The bounds of twinChanged.
const (
	// maxFollowed bounds ids.
	maxFollowed = 1000
	// maxRuled is how many twins one subscription holds a rule against, maxPlaced
	// how many it remembers to be below a group.
	maxRuled  = registry.MaxWalk
	maxPlaced = 100_000
	// maxEvery bounds the interval in which each twin is told once.
	maxEvery = 24 * time.Hour
)

// followArgs are the arguments of twinChanged.
type followArgs struct {
	ids          []registry.ID
	under, where *string
	kinds        []registry.TwinChangeKind
	every        *time.Duration
	after        *string
}

// followTwins follows what twins measure, from the feed, and what else becomes
// of them, from the journal, and sends on what was asked for.
func (r *Resolver) followTwins(ctx context.Context, args followArgs) (<-chan *registry.TwinChange, error) {
	f, err := r.newTwinFollower(ctx, args)
	if err != nil {
		return nil, err
	}
	f.wantsTwin = slices.ContainsFunc(graphql.CollectFieldsCtx(ctx, []string{"TwinChange"}), func(field graphql.CollectedField) bool { return field.Name == "twin" })
	return gqlhttp.Stream(ctx, func(ctx context.Context, send func(*registry.TwinChange) bool) error {
		defer f.feed.Close()
		defer f.journal.Close()
		return f.run(ctx, send)
	}), nil
}

// newTwinFollower checks the arguments and opens both sources.
func (r *Resolver) newTwinFollower(ctx context.Context, args followArgs) (*twinFollower, error) {
	f := &twinFollower{
		resolver: r, scope: scopeFrom(ctx), kinds: args.kinds, resumed: args.after != nil,
		selection: graph.TwinSelection{IDs: args.ids}, told: map[registry.ID]bool{}, pending: map[registry.ID]*pendingChange{}, sent: map[registry.ID]time.Time{},
	}
	if len(args.ids) > maxFollowed {
		return nil, registry.LimitExceeded("follow at most %d ids at once, not %d: or give under", maxFollowed, len(args.ids))
	}
	if args.every != nil {
		if f.every = *args.every; f.every < 0 || f.every > maxEvery {
			return nil, registry.InvalidField("every", "range", "is at most %s", maxEvery)
		}
	}
	if args.under != nil {
		group, err := r.Graph.GroupByPath(ctx, f.scope, *args.under)
		if err != nil {
			return nil, err
		}
		if group.Depth > 0 {
			f.group, f.selection.Under = group.ID, group.Path
		}
	}
	if args.where != nil {
		var err error
		if f.selection.Where, err = rule.Parse(*args.where); err != nil {
			return nil, err
		}
	}
	f.stateful = f.group != "" || f.selection.Where != nil
	return f, f.open(ctx, deref(args.after))
}

// open opens the sources at a cursor.
func (f *twinFollower) open(ctx context.Context, after string) (err error) {
	at := mark{}
	if after != "" {
		if at, err = parseMark(after); err != nil {
			return err
		}
	}
	if f.feed, err = f.resolver.Feed.Follow(ctx, f.scope, at.feed); err != nil {
		return err
	}
	if f.journal, err = f.resolver.Graph.FollowChanges(ctx, f.scope, at.journal); err == nil {
		f.newest, err = f.resolver.Graph.JournalEnd(ctx, f.scope)
	}
	if err != nil {
		f.feed.Close()
		return err
	}
	f.mark = mark{feed: f.feed.Begin(), journal: registry.Cursor(strconv.FormatInt(f.journal.Position(), 10))}
	return nil
}

// mark is a place in both sources: everything before it was told.
type mark struct{ feed, journal string }

// cursor is the mark as clients get it.
func (m mark) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(m.feed + "|" + m.journal))
}

func parseMark(cursor string) (mark, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	feed, journal, ok := strings.Cut(string(raw), "|")
	if err != nil || !ok {
		return mark{}, registry.InvalidField("after", "format", "%q is not a cursor of a change", cursor)
	}
	return mark{feed, journal}, nil
}

// received is a batch of one of the two sources, or why it ended.
type received struct {
	values  []twin.Change
	changes []*registry.Change
	err     error
}

// receive hands on what a source has until it fails or the context ends.
func receive(ctx context.Context, out chan<- received, next func(context.Context) (received, error)) {
	for {
		batch, err := next(ctx)
		batch.err = err
		select {
		case out <- batch:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
