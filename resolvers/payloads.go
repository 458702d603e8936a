package resolvers

import (
	"context"
	"encoding/base64"
	"time"
	"unicode/utf8"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

func (r *Resolver) payloads(ctx context.Context, device registry.ID, from, to *time.Time, request registry.PageRequest) (*generated.PayloadConnection, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	page, err := r.Graph.ListPayloads(ctx, scope, device, from, to, request)
	if err != nil {
		return nil, err
	}
	for _, p := range page.Items {
		loadersFrom(ctx).contents.Expect(p.ID)
	}
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountPayloads(ctx, scope, device, from, to) })
	return &generated.PayloadConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, graph.PayloadKey), TotalCount: total,
		Edges: edges(page, graph.PayloadKey, func(cursor string, p *registry.Payload) *generated.PayloadEdge {
			return &generated.PayloadEdge{Cursor: cursor, Node: p}
		}),
	}, err
}

// contentOf is what was sent; empty where it is not kept any more.
func contentOf(ctx context.Context, p *registry.Payload) ([]byte, error) {
	if p.Content != nil {
		return p.Content, nil
	}
	return loadersFrom(ctx).contents.Load(ctx, p.ID)
}

func contentBase64(ctx context.Context, p *registry.Payload) (string, error) {
	content, err := contentOf(ctx, p)
	return base64.StdEncoding.EncodeToString(content), err
}

func contentText(ctx context.Context, p *registry.Payload) (*string, error) {
	content, err := contentOf(ctx, p)
	if err != nil || !utf8.Valid(content) {
		return nil, err
	}
	text := string(content)
	return &text, nil
}

func (r *Resolver) prunePayloads(ctx context.Context, in generated.PrunePayloadsInput) (*generated.PrunePayloadsPayload, error) {
	f := registry.PayloadFilter{To: in.Before, Template: in.Template, Valid: in.Valid}
	narrow, every := f.To != nil || f.Template != nil || f.Valid != nil, in.All != nil && *in.All
	if narrow == every {
		return nil, registry.InvalidField("all", "exclusive", "say which payloads are meant, or that all are")
	}
	n, err := r.Graph.PrunePayloads(ctx, scopeFrom(ctx), f, in.Rehearse)
	if err != nil {
		return nil, err
	}
	return &generated.PrunePayloadsPayload{Pruned: n}, nil
}

func (r *Resolver) reprocess(ctx context.Context, in generated.ReprocessInput) (*registry.Reprocessed, error) {
	if in.First < 1 || in.First > registry.MaxReprocessed {
		return nil, registry.InvalidField("first", "range", "decode 1 to %d payloads at a time", registry.MaxReprocessed)
	}
	done, err := r.Readings.Reprocess(ctx, principalFrom(ctx), registry.ReprocessRequest{
		Device: in.Device, From: in.From, To: in.To, First: in.First, After: deref(in.After), Rehearse: in.Rehearse, Token: givenText(in.Token),
	})
	// Also after an error some may be others by now.
	if forgotten := r.Feed.ForgetValues(context.WithoutCancel(ctx), scopeFrom(ctx), done.Twins...); forgotten != nil && err == nil {
		err = forgotten
	}
	if err != nil {
		return nil, err
	}
	return &done, nil
}
