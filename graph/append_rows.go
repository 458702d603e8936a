package graph

// The rows of the statements of a batch, which are lists: maps take a quarter
// longer.

func numbersRow(g *group) []any {
	return []any{g.bucket.element, g.plan.series.element, g.lastAt, g.last, g.n, g.sum, g.low, g.high, g.rows}
}

func othersRow(g *group) []any {
	return []any{g.bucket.element, g.plan.series.element, g.lastAt, stored(g.last), g.n, g.trues, g.rows}
}

func olderRow(g *group) []any {
	return []any{g.bucket.element, g.n, g.sum, g.low, g.high, g.trues, g.firstAt, stored(g.first), g.lastAt, stored(g.last), g.rows, g.lastSuspect.property()}
}

func detailedRow(g *group) []any { return []any{g.bucket.element, g.suspects, g.detailed} }

func timeOrNil(value any, at int64) any {
	if value == nil {
		return nil
	}
	return at
}

func unitOrNil(unit string) any {
	if unit == "" {
		return nil
	}
	return unit
}
