package graph

import "github.com/holon-registry/holon/registry"

// What the aggregation's queries return becomes cells here: rows of lists, since
// maps cost twice as much.

// span is what an aggregation reads: from (included) to (not included), in
// stretches of a step since a start.
type span struct{ from, to, start, step int64 }

// has says whether a slot counts: where single measurements are gone, one that
// lies across an end of the span does.
func (s span) has(slot int64) bool { return slot+quarter > s.from && slot < s.to }

// row is a list of a query's answer. It begins with the unit of what is in it,
// which does not count among its items.
type row struct {
	f    fields
	unit string
	list []any
}

// rows are the lists of a column, each of at least so many items.
func rows(f fields, column string, items int) []row {
	all := f.list(column)
	out := make([]row, 0, len(all))
	for _, item := range all {
		list, ok := item.([]any)
		if !ok || len(list) < items+1 {
			f.failed("%s has %v", column, item)
			return nil
		}
		in, ok := list[0].(string)
		if !ok {
			f.failed("%s has %v", column, item)
			return nil
		}
		out = append(out, row{f, in, list[1:]})
	}
	return out
}

func (r row) integer(i int) int64 {
	n, ok := r.list[i].(int64)
	if !ok {
		r.f.failed("item %d is a %T, not an integer", i, r.list[i])
	}
	return n
}

func (r row) number(i int) float64 {
	n, ok := valueOf("", r.list[i]).(float64)
	if !ok {
		r.f.failed("item %d is a %T, not a number", i, r.list[i])
	}
	return n
}

// column is a list within the row: nil where there is none.
func (r row) column(i int) row {
	list, _ := r.list[i].([]any)
	return row{r.f, r.unit, list}
}

// endsKind is where a row of ends says the type of its values.
const endsKind = 6

// kind is the type of the values of a row of ends.
func (r row) kind() registry.ValueType {
	of, _ := r.list[endsKind].(string)
	return registry.ValueType(of)
}

// value is an item of a column that may be missing.
func (r row) value(i int, of registry.ValueType) any {
	if i >= len(r.list) {
		return nil
	}
	return valueOf(of, r.list[i])
}

func readNumbers(f fields, out *aggregated, s span) {
	for _, r := range rows(f, "reduced", 5) {
		at := max(s.start+r.integer(0)*s.step, s.from)
		out.cells = append(out.cells, cell{unit: r.unit, n: r.integer(1), firstAt: at, lastAt: at, sum: r.number(2), low: r.number(3), high: r.number(4)})
	}
	for _, r := range rows(f, "rollUps", 5) {
		if r.list[2] == nil { // of another type than numbers
			continue
		}
		at := r.integer(0)
		out.cells = append(out.cells, cell{unit: r.unit, n: r.integer(1), firstAt: at, lastAt: at, sum: r.number(2), low: r.number(3), high: r.number(4)})
	}
	for _, r := range rows(f, "slots", 5) {
		if r.list[2] == nil {
			continue
		}
		starts, counts, sums, lows, highs := r.column(0), r.column(1), r.column(2), r.column(3), r.column(4)
		for i := range starts.list {
			at := starts.integer(i)
			if !s.has(at) {
				continue
			}
			out.cells = append(out.cells, cell{unit: r.unit, n: counts.integer(i), firstAt: at, lastAt: at, sum: sums.number(i), low: lows.number(i), high: highs.number(i)})
		}
	}
}

func readEnds(f fields, out *aggregated, s span) {
	ends := func(r row) cell {
		return cell{unit: r.unit, n: r.integer(1), firstAt: r.integer(2), first: r.value(3, r.kind()), lastAt: r.integer(4), last: r.value(5, r.kind())}
	}
	for _, r := range rows(f, "reduced", 7) {
		out.cells = append(out.cells, ends(r))
	}
	for _, r := range rows(f, "rollUps", 7) {
		out.cells = append(out.cells, ends(r))
	}
	for _, r := range rows(f, "slots", 7) {
		starts, counts, firstAts, firsts, lastAts, lasts := r.column(0), r.column(1), r.column(2), r.column(3), r.column(4), r.column(5)
		for i := range starts.list {
			if !s.has(starts.integer(i)) {
				continue
			}
			slot := starts.integer(i)
			out.cells = append(out.cells, cell{
				unit: r.unit, n: counts.integer(i), firstAt: firstAts.integer(i), first: firsts.value(i, r.kind()), lastAt: lastAts.integer(i), last: lasts.value(i, r.kind()),
				slot: &slot,
			})
		}
	}
}

func readPath(f fields, out *aggregated, s span) {
	out.byUnit = map[string][]timed{}
	for _, r := range rows(f, "reduced", 1) {
		for _, item := range r.column(0).list {
			pair, ok := item.([]any)
			if !ok || len(pair) != 2 {
				f.failed("a measurement is %v", item)
				return
			}
			one := row{f, r.unit, pair}
			out.byUnit[r.unit] = append(out.byUnit[r.unit], timed{one.integer(0), one.number(1)})
		}
	}
	for _, r := range rows(f, "slots", 8) {
		if r.list[6] == nil {
			continue
		}
		starts, counts, firstAts, firsts, lastAts, lasts := r.column(0), r.column(1), r.column(2), r.column(3), r.column(4), r.column(5)
		areas, increases := r.column(6), r.column(7)
		for i := range starts.list {
			if !s.has(starts.integer(i)) {
				continue
			}
			slot := starts.integer(i)
			out.cells = append(out.cells, cell{
				unit: r.unit, n: counts.integer(i), firstAt: firstAts.integer(i), first: firsts.value(i, ""), lastAt: lastAts.integer(i), last: lasts.value(i, ""),
				area: areas.number(i), increase: increases.number(i), slot: &slot,
			})
		}
	}
}
