package graph

import "github.com/holon-registry/holon/registry"

// What the aggregation's queries return becomes cells here: rows of lists, since
// maps cost twice as much.

// Where things stand in the roll-up of a bucket.
const (
	rollUpFirst = iota // when the first value was measured
	rollUpLast         // when the last one was
	rollUpCount
	rollUpSum // of numbers only, as all that follows
	rollUpMin
	rollUpMax
)

// span is what an aggregation reads: from (included) to (not included), in
// stretches of a step since a start.
type span struct{ from, to, start, step int64 }

func spanOf(a *registry.Aggregation, p params) span {
	return span{a.From.UnixMilli(), a.To.UnixMilli(), p["start"].(int64), p["step"].(int64)}
}

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

func (r row) text(i int) string {
	text, ok := r.list[i].(string)
	if !ok {
		r.f.failed("item %d is a %T, not a text", i, r.list[i])
	}
	return text
}

func (r row) number(i int) float64 {
	n, ok := valueOf("", r.list[i]).(float64)
	if !ok {
		r.f.failed("item %d is a %T, not a number", i, r.list[i])
	}
	return n
}

// rounded is an integer that may come as a number.
func (r row) rounded(i int) int64 {
	switch n := r.list[i].(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	r.f.failed("item %d is a %T, not a number", i, r.list[i])
	return 0
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
	for _, r := range rows(f, "rollUps", 1) {
		of := r.column(0)
		if len(of.list) <= rollUpSum || of.list[rollUpSum] == nil { // of another type than numbers
			continue
		}
		at := of.rounded(rollUpFirst)
		out.cells = append(out.cells, cell{
			unit: r.unit, n: of.rounded(rollUpCount), firstAt: at, lastAt: at, sum: of.number(rollUpSum), low: of.number(rollUpMin), high: of.number(rollUpMax),
		})
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
	for _, r := range rows(f, "rollUps", 4) {
		of, kind := r.column(0), registry.ValueType(r.text(3))
		out.cells = append(out.cells, cell{
			unit: r.unit, n: of.rounded(rollUpCount), firstAt: of.rounded(rollUpFirst), first: r.value(1, kind), lastAt: of.rounded(rollUpLast), last: r.value(2, kind),
		})
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
	for _, r := range rows(f, "reduced", 2) {
		list := valueList{unit: r.unit, source: r.text(0)}
		for _, item := range r.column(1).list {
			pair, ok := item.([]any)
			if !ok || len(pair) != 2 {
				f.failed("a measurement is %v", item)
				return
			}
			one := row{f, r.unit, pair}
			list.values = append(list.values, timed{one.integer(0), one.number(1)})
		}
		out.lists = append(out.lists, list)
	}
	for _, r := range rows(f, "slots", 9) {
		if r.list[7] == nil {
			continue
		}
		source, starts, counts, firstAts, firsts, lastAts, lasts := r.text(0), r.column(1), r.column(2), r.column(3), r.column(4), r.column(5), r.column(6)
		areas, increases := r.column(7), r.column(8)
		for i := range starts.list {
			if !s.has(starts.integer(i)) {
				continue
			}
			slot := starts.integer(i)
			out.cells = append(out.cells, cell{
				unit: r.unit, source: source, n: counts.integer(i), firstAt: firstAts.integer(i), first: firsts.value(i, ""), lastAt: lastAts.integer(i), last: lasts.value(i, ""),
				area: areas.number(i), increase: increases.number(i), slot: &slot,
			})
		}
	}
}
