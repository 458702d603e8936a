package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

func (r *Resolver) deadLetters(ctx context.Context, f registry.DeadLetterFilter, request registry.PageRequest) (*generated.DeadLetterConnection, error) {
	f.Brief = briefLetters(ctx)
	page, err := r.Graph.ListDeadLetters(ctx, scopeFrom(ctx), f, request)
	if err != nil {
		return nil, err
	}
	for _, letter := range page.Items {
		for _, id := range []registry.ID{letter.DeviceID, letter.AssetID} {
			if id != "" {
				loadersFrom(ctx).nodes.Expect(id)
			}
		}
	}
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountDeadLetters(ctx, scopeFrom(ctx), f) })
	return &generated.DeadLetterConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, deadLetterKey), TotalCount: total,
		Edges: edges(page, deadLetterKey, func(cursor string, d *registry.DeadLetter) *generated.DeadLetterEdge {
			return &generated.DeadLetterEdge{Cursor: cursor, Node: d}
		}),
	}, err
}

// briefLetters says whether nothing is selected of dead letters that is large.
func briefLetters(ctx context.Context) bool {
	op := graphql.GetOperationContext(ctx)
	for _, field := range nodeFields(op, graphql.GetFieldContext(ctx).Field) {
		if field.Name == "raw" {
			return false
		}
		if field.Name != "payload" {
			continue
		}
		for _, inner := range graphql.CollectFields(op, field.Selections, everyType) {
			if ofContent[inner.Name] {
				return false
			}
		}
	}
	return true
}

// ofContent are the fields of a payload that its content answers.
var ofContent = map[string]bool{"content": true, "text": true, "size": true}

func (r *Resolver) replayDeadLetters(ctx context.Context, in generated.ReplayDeadLettersInput) (*generated.ReplayDeadLettersPayload, error) {
	request := registry.ReplayRequest{
		Filter: registry.DeadLetterFilter{IDs: in.Ids, Reason: in.Reason, Device: in.Device, Asset: in.Asset, Source: in.Source, From: in.From, To: in.To},
		First:  in.First, After: deref(in.After), Rehearse: in.Rehearse,
	}
	if err := request.Filter.Check(in.All != nil && *in.All); err != nil {
		return nil, err
	}
	if in.First < 1 || in.First > registry.MaxReplayed {
		return nil, registry.InvalidField("first", "range", "replay 1 to %d dead letters at a time", registry.MaxReplayed)
	}
	done, err := r.Readings.Replay(ctx, principalFrom(ctx), request)
	if err != nil {
		return nil, err
	}
	payload := &generated.ReplayDeadLettersPayload{Accepted: done.Accepted, Refused: done.Refused, Readings: done.Readings, StillRefused: done.StillRefused}
	if done.After != "" {
		payload.EndCursor = &done.After
	}
	return payload, nil
}

func (r *Resolver) dropDeadLetters(ctx context.Context, in generated.DropDeadLettersInput) (*generated.DropDeadLettersPayload, error) {
	f := registry.DeadLetterFilter{IDs: in.Ids, Reason: in.Reason, Device: in.Device, Asset: in.Asset, Source: in.Source, From: in.From, To: in.To}
	if err := f.Check(in.All != nil && *in.All); err != nil {
		return nil, err
	}
	remove := r.Graph.DropDeadLetters
	if in.Rehearse {
		remove = r.Graph.CountDeadLetters
	}
	n, err := remove(ctx, scopeFrom(ctx), f)
	if err != nil {
		return nil, err
	}
	return &generated.DropDeadLettersPayload{Dropped: n}, nil
}
