package graph

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// CreateTwins makes devices or assets. If it is not atomic, what is wrong with
// one stops no other; a relation may lead to a twin that stands earlier in the
// list.
func (s *Store) CreateTwins(ctx context.Context, scope registry.Scope, kind registry.Kind, twins []registry.NewTwin, atomic bool) (*registry.Bulk, error) {
	things := make([]newThing, len(twins))
	for i, n := range twins {
		things[i] = newTwin(kind, n)
	}
	return s.bulk(ctx, scope, s.making(scope, kind, noun(kind)+"s", things), atomic, func(i int) string { return twins[i].Reference })
}

// UpdateTwins changes devices, assets or groups. If it is not atomic, what is wrong with
// one stops no other.
func (s *Store) UpdateTwins(ctx context.Context, scope registry.Scope, kind registry.Kind, updates []registry.TwinEdit, atomic bool) (*registry.Bulk, error) {
	things := make([]patchedThing, len(updates))
	for i, u := range updates {
		things[i] = patchedThing{ref: u.Ref, patch: u.Patch}
	}
	return s.bulk(ctx, scope, s.changing(scope, kind, noun(kind)+"s", things), atomic, func(i int) string { return nameOf(updates[i].Ref) })
}

// DeleteTwins deletes devices or assets, as DeleteDevice and DeleteAsset do. If
// it is not atomic, what does not exist stops no other. Those that are named by
// their ids come first. It returns the ids of what was deleted, components
// included, as well.
func (s *Store) DeleteTwins(ctx context.Context, scope registry.Scope, kind registry.Kind, refs []registry.Ref, atomic bool) (*registry.Bulk, []registry.ID, error) {
	d := doom{kind: kind, refs: refs}
	work := s.deleting(scope, "", &d)
	work.at = idsBefore(refs, "references")
	result, err := s.bulk(ctx, scope, work, atomic, func(i int) string { return nameOf(refs[i]) })
	if err != nil {
		return nil, nil, err
	}
	deleted := d.components
	for i := range result.Results {
		if r := &result.Results[i]; r.Object != nil {
			deleted = append(deleted, r.Object.NodeID())
			r.Object = nil
		}
	}
	s.sweepSoon(ctx, scope)
	return result, deleted, nil
}

// idsBefore is where objects stand that are named in two lists, by their ids and
// then by their keys.
func idsBefore(refs []registry.Ref, keys string) func(i int) string {
	byIDs := len(refs)
	if i := slices.IndexFunc(refs, func(ref registry.Ref) bool { return ref.ID == "" }); i >= 0 {
		byIDs = i
	}
	return func(i int) string {
		if i < byIDs {
			return placeIn("ids")(i)
		}
		return placeIn(keys)(i - byIDs)
	}
}

// nameOf is what a reference names an object by.
func nameOf(ref registry.Ref) string {
	if ref.ID != "" {
		return string(ref.ID)
	}
	return ref.Key
}

// bulk runs a batch and says what became of its items.
func (s *Store) bulk(ctx context.Context, scope registry.Scope, b bulk, atomic bool, key func(i int) string) (*registry.Bulk, error) {
	if b.items > registry.MaxBulk {
		return nil, tooManyItems(b.items)
	}
	var out []outcome
	// What is rehearsed happens as a whole, or not at all.
	if atomic || scope.Rehearsal != nil || scope.Token != "" {
		var err error
		if out, err = s.together(ctx, scope, b, atomic); err != nil {
			return nil, err
		}
	} else {
		out = s.apart(ctx, scope, b)
	}
	out = b.asGiven(out)
	result := &registry.Bulk{Results: make([]registry.BulkResult, len(out)), Total: len(out), Rehearsal: scope.Rehearsal}
	for i, item := range out {
		result.Results[i] = registry.BulkResult{Index: i, Key: key(i), Object: item.thing, Created: item.made && item.err == nil}
		if item.err != nil {
			result.Results[i].Object, result.Results[i].Error = nil, s.shown(item.err)
			result.Failed++
		} else {
			result.Succeeded++
		}
		if scope.Rehearsal != nil {
			result.Results[i].Object = nil
		}
	}
	return result, nil
}

func tooManyItems(n int) error {
	return registry.LimitExceeded("a request has at most %d items, not %d", registry.MaxBulk, n)
}

// shown is what a caller may see of an item's error. What was not written for
// callers goes to the log, under an id.
func (s *Store) shown(err error) *registry.Error {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		if e.Cause != nil {
			s.log.Warn().Err(e.Cause).Str("code", string(e.Code)).Msg(e.Message)
		}
		return e
	}
	id := uuid.NewString()
	s.log.Error().Err(err).Str("id", id).Msg("internal error")
	return &registry.Error{Code: registry.CodeInternal, Message: "something went wrong in the server; the log knows more under the id " + id}
}
