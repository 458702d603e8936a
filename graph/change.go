package graph

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// How lists of changes are read. Each way has an index that ends with the
// position, so that a page is read in order from any position on; what else a
// filter asks for is looked at change by change.

// changesBy is a way to read changes.
type changesBy struct{ name, index, match, order string }

var changeWays = map[string]changesBy{
	"object": {"change.ofObjects", "object, position", "c.object = id AND c.account = $account", "c.object"},
	"key":    {"change.ofKey", "account, kind, keyFold, position", "c.account = $account AND c.kind = $kind AND c.keyFold = $keyFold", "c.account, c.kind, c.keyFold"},
	"kinds":  {"change.ofKinds", "account, kind, position", "c.account = $account AND c.kind = kind", "c.account, c.kind"},
	"actor":  {"change.byActor", "account, actor, position", "c.account = $account AND c.actor = $by", "c.account, c.actor"},
	"":       {"change.list", "account, position", "c.account = $account", "c.account"},
}

// changeRest is what is looked at change by change. What is kept as a base of
// the past only is no news.
const changeRest = ` AND c.position >= $low AND c.position <= $high AND c.base IS NULL
		AND ($keyFold IS NULL OR c.keyFold = $keyFold)
		AND ($kinds IS NULL OR c.kind IN $kinds) AND ($by IS NULL OR c.actor = $by) AND ($operation IS NULL OR c.operation = $operation)`

// text is a page's query, ascending or descending. Kinds are read one by one
// and put together, objects have a page each.
func (w changesBy) text(descending bool) string {
	way, order := "", ""
	if descending {
		way = " DESC"
	}
	for property := range strings.SplitSeq(w.order, ", ") {
		order += property + way + ", "
	}
	page := w.matching() + "\n\t\tWITH c ORDER BY " + order + "c.position" + way + " LIMIT $limit"
	switch w.name {
	case "change.ofObjects":
		return "UNWIND $ids AS id\n\t\tCALL (id) {\n\t\t" + page + "\n\t\tRETURN collect(properties(c)) AS changes\n\t\t}\n\t\tRETURN collect({id: id, changes: changes}) AS objects"
	case "change.ofKinds":
		return "UNWIND $kinds AS kind\n\t\tCALL (kind) {\n\t\t" + page + "\n\t\tRETURN c\n\t\t}" +
			"\n\t\tWITH c ORDER BY c.position" + way + " LIMIT $limit\n\t\tRETURN collect(properties(c)) AS changes"
	}
	return page + "\n\t\tRETURN collect(properties(c)) AS changes"
}

func (w changesBy) matching() string {
	return "MATCH (c:Change) USING INDEX c:Change(" + w.index + ")\n\t\tWHERE " + w.match + changeRest
}

// count is the query that counts all that there are.
func (w changesBy) count() string {
	start := map[string]string{"change.ofObjects": "UNWIND $ids AS id\n\t\t", "change.ofKinds": "UNWIND $kinds AS kind\n\t\t"}[w.name]
	return start + w.matching() + "\n\t\tRETURN count(c) AS n"
}

type changeQueries struct{ ascending, descending, count query }

var (
	changeLists = func() map[string]changeQueries {
		out := map[string]changeQueries{}
		for way, w := range changeWays {
			out[way] = changeQueries{
				named(w.name, w.text(false)), named(w.name+"Descending", w.text(true)), named(w.name+"Count", w.count()),
			}
		}
		return out
	}()

	// The first change at a moment or after it, and the last until a moment.
	changeFirst = named("change.first", `
		MATCH (c:Change) USING INDEX c:Change(account, at)
		WHERE c.account = $account AND c.at >= $at
		WITH c ORDER BY c.account, c.at, c.position LIMIT 1
		RETURN c.position AS n`)
	changeLast = named("change.last", `
		MATCH (c:Change) USING INDEX c:Change(account, at)
		WHERE c.account = $account AND c.at <= $at
		WITH c ORDER BY c.account DESC, c.at DESC, c.position DESC LIMIT 1
		RETURN c.position AS n`)

	// The newest snapshot of an object at a position.
	changeSnapshots = named("change.snapshots", `
		UNWIND $wanted AS want
		CALL (want) {
			MATCH (c:Change) USING INDEX c:Change(object, position)
			WHERE c.object = want.object AND c.position <= want.position AND c.account = $account AND c.after IS NOT NULL
			RETURN c.after AS after ORDER BY c.object DESC, c.position DESC LIMIT 1
		}
		RETURN collect({position: want.position, after: after}) AS snapshots`)
)

// changeWay is the way to read the changes of a filter, and its parameters.
func changeWay(f registry.ChangeFilter) (string, params, error) {
	p := params{"keyFold": nil, "kind": nil, "kinds": nil, "by": nil, "operation": nil}
	way := ""
	if f.Operation != "" {
		p["operation"] = string(f.Operation)
	}
	if f.ActorID != "" {
		way, p["by"] = "actor", string(f.ActorID)
	}
	if len(f.Kinds) > 0 {
		kinds := make([]string, len(f.Kinds))
		for i, kind := range f.Kinds {
			kinds[i] = string(kind)
		}
		slices.Sort(kinds)
		p["kinds"] = slices.Compact(kinds)
		if way == "" {
			way = "kinds"
		}
	}
	if f.Key != "" {
		if len(f.Kinds) != 1 {
			return "", nil, registry.InvalidField("key", "kind", "a key is one of a kind: name that kind alone in kinds")
		}
		key := f.Key
		if f.Kinds[0] == registry.ObjectGroup {
			key = cleanPath(key)
		}
		way, p["kind"], p["keyFold"] = "key", string(f.Kinds[0]), Fold(key)
	}
	if f.ObjectID != "" {
		way, p["ids"] = "object", []string{string(f.ObjectID)}
	}
	return way, p, nil
}

// changeBounds turns moments and a cursor into positions, both included.
func (s *Store) changeBounds(ctx context.Context, scope registry.Scope, f registry.ChangeFilter, page registry.PageRequest) (low, high int64, err error) {
	low, high = 1, math.MaxInt64
	position := func(f fields) int64 { return required[int64](f, "n") }
	if f.From != nil {
		first, ok, err := one(ctx, s.reading(scope), changeFirst, params{"at": *f.From}, position)
		if err != nil || !ok {
			return 1, 0, err
		}
		low = first
	}
	if f.To != nil {
		last, ok, err := one(ctx, s.reading(scope), changeLast, params{"at": *f.To}, position)
		if err != nil || !ok {
			return 1, 0, err
		}
		high = last
	}
	if page.Key == "" {
		return low, high, nil
	}
	at, err := strconv.ParseInt(page.Key, 10, 64)
	if err != nil {
		return 0, 0, registry.InvalidField("cursor", "format", "this is no cursor of a list of changes: use one that a query returned")
	}
	if page.Backward == (f.Direction == registry.SortAscending) {
		return low, min(high, at-1), nil
	}
	return max(low, at+1), high, nil
}

// changeReader reads a range of changes piece by piece.
type changeReader struct {
	store     *Store
	scope     registry.Scope
	query     query
	params    params
	low, high int64
	ascending bool
	// looked is the position of the last change that was read.
	looked int64
}

// changeReader prepares to read what a filter and a page ask for.
func (s *Store) changeReader(ctx context.Context, scope registry.Scope, f registry.ChangeFilter, page registry.PageRequest) (*changeReader, error) {
	way, p, err := changeWay(f)
	if err != nil {
		return nil, err
	}
	r := &changeReader{store: s, scope: scope, params: p, query: changeLists[way].descending, ascending: page.Backward != (f.Direction == registry.SortAscending)}
	if r.ascending {
		r.query = changeLists[way].ascending
	}
	r.low, r.high, err = s.changeBounds(ctx, scope, f, page)
	return r, err
}

// next reads the next changes of the range, none at its end.
func (r *changeReader) next(ctx context.Context, size int) ([]*registry.Change, error) {
	if r.low > r.high || size == 0 {
		return nil, nil
	}
	r.params["low"], r.params["high"], r.params["limit"] = r.low, r.high, size
	changes, _, err := one(ctx, r.store.reading(r.scope), r.query, r.params, func(f fields) []*registry.Change {
		if r.params["ids"] == nil {
			return changesOf(f)
		}
		var out []*registry.Change
		for _, object := range f.maps("objects") {
			out = append(out, changesOf(object)...)
		}
		return out
	})
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	r.looked = changes[len(changes)-1].Position
	if r.ascending {
		r.low = r.looked + 1
	} else {
		r.high = r.looked - 1
	}
	return changes, nil
}

// ListChanges returns changes in the order of their positions, newest first
// unless the filter says otherwise.
func (s *Store) ListChanges(ctx context.Context, scope registry.Scope, f registry.ChangeFilter, page registry.PageRequest) (registry.ChangePage, error) {
	r, err := s.changeReader(ctx, scope, f, page)
	if err != nil {
		return registry.ChangePage{}, fmt.Errorf("list changes: %w", err)
	}
	if f.Under != "" {
		out, err := s.changesUnder(ctx, r, f.Under, page)
		if err != nil {
			return registry.ChangePage{}, fmt.Errorf("list changes under %s: %w", f.Under, err)
		}
		return out, nil
	}
	found, err := r.next(ctx, page.Size+1)
	if err != nil {
		return registry.ChangePage{}, fmt.Errorf("list changes: %w", err)
	}
	return changePage(found, page), nil
}

func changePage(found []*registry.Change, page registry.PageRequest) registry.ChangePage {
	out := registry.ChangePage{Page: cut(found, page)}
	if n := len(out.Items); n > 0 {
		out.Start, out.End = out.Items[0].Position, out.Items[n-1].Position
	}
	return out
}

// ObjectChanges returns a page of the changes of each of some objects: one slot
// an id, in order.
func (s *Store) ObjectChanges(ctx context.Context, scope registry.Scope, ids []registry.ID, f registry.ChangeFilter, page registry.PageRequest) ([]registry.ChangePage, error) {
	f.ObjectID = "each"
	r, err := s.changeReader(ctx, scope, f, page)
	if err != nil {
		return nil, fmt.Errorf("changes of objects: %w", err)
	}
	pages := make(map[registry.ID]registry.ChangePage, len(ids))
	r.params["ids"], r.params["low"], r.params["high"], r.params["limit"] = texts(ids), r.low, r.high, page.Size+1
	_, _, err = one(ctx, s.reading(scope), r.query, r.params, func(f fields) struct{} {
		for _, object := range f.maps("objects") {
			pages[object.id("id")] = changePage(changesOf(object), page)
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("changes of objects: %w", err)
	}
	return slots(ids, pages), nil
}

// CountChanges counts what ListChanges lists; under a group that is not known.
func (s *Store) CountChanges(ctx context.Context, scope registry.Scope, f registry.ChangeFilter) (int, error) {
	way, p, err := changeWay(f)
	if err != nil {
		return 0, err
	}
	low, high, err := s.changeBounds(ctx, scope, f, registry.PageRequest{})
	if err != nil {
		return 0, fmt.Errorf("count changes: %w", err)
	}
	p["low"], p["high"] = low, high
	n, _, err := one(ctx, s.reading(scope), changeLists[way].count, p, counted)
	if err != nil {
		return 0, fmt.Errorf("count changes: %w", err)
	}
	return n, nil
}

// ObjectAfter returns, for each of some changes, the object as it was after it:
// one slot a change, nil where it was deleted or where that is not known any
// more.
func (s *Store) ObjectAfter(ctx context.Context, scope registry.Scope, changes []*registry.Change) ([]map[string]any, error) {
	out := make([]map[string]any, len(changes))
	var wanted []any
	for i, c := range changes {
		switch {
		case c.After != nil:
			out[i] = c.After
		case c.Operation != registry.ChangeDelete:
			wanted = append(wanted, map[string]any{"object": string(c.ObjectID), "position": c.Position})
		}
	}
	if len(wanted) == 0 {
		return out, nil
	}
	found, _, err := one(ctx, s.reading(scope), changeSnapshots, params{"wanted": wanted}, func(f fields) map[int64]map[string]any {
		byPosition := map[int64]map[string]any{}
		for _, item := range f.maps("snapshots") {
			byPosition[int64(item.integer("position"))] = item.plainJSON("after")
		}
		return byPosition
	})
	if err != nil {
		return nil, fmt.Errorf("objects after changes: %w", err)
	}
	for i, c := range changes {
		if out[i] == nil && c.Operation != registry.ChangeDelete {
			out[i] = found[c.Position]
		}
	}
	return out, nil
}

// changesOf reads a list of changes.
func changesOf(f fields) []*registry.Change {
	items := f.maps("changes")
	out := make([]*registry.Change, len(items))
	for i, item := range items {
		out[i] = changeOf(item)
	}
	return out
}

// changeOf reads a change's node. What was made and deleted holds its values
// once; as differences they are told by the object itself.
func changeOf(f fields) *registry.Change {
	c := &registry.Change{
		Position: required[int64](f, "position"), At: f.time("at"), Kind: registry.ObjectKind(f.text("kind")), ObjectID: f.id("object"),
		Key: f.text("key"), Operation: registry.ChangeOperation(f.text("operation")), Action: f.text("action"), Version: f.integer("version"),
		After: f.plainJSON("after"),
	}
	for name, into := range map[string]*string{"actorName": &c.ActorName, "request": &c.RequestID} {
		if text := f.optionalText(name); text != nil {
			*into = *text
		}
	}
	if actor := f.optionalText("actor"); actor != nil {
		c.ActorID = registry.ID(*actor)
	}
	for _, item := range f.plainList("diff") {
		d, _ := item.(map[string]any)
		path, _ := d["path"].(string)
		c.Differences = append(c.Differences, registry.Difference{Path: path, Before: d["before"], After: d["after"]})
	}
	switch c.Operation {
	case registry.ChangeCreate:
		c.Differences = append(values(nil, c.After), c.Differences...)
	case registry.ChangeDelete:
		c.Differences = append(values(f.plainJSON("before"), nil), c.Differences...)
	}
	return c
}

// values are the differences between an object and nothing, but for what every
// object has.
func values(before, after map[string]any) []registry.Difference {
	return slices.DeleteFunc(compare(before, after), func(d registry.Difference) bool { return d.Path == "id" || d.Path == "createdAt" })
}

// ChangeKey is the key of a change in lists.
func ChangeKey(c *registry.Change) string { return strconv.FormatInt(c.Position, 10) }
