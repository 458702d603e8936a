package rule

import "slices"

// Unmeasured is a rule without newest values that is true of at least what this
// one is true of: whatever asks for a newest value, or whether the object itself
// is connected, is taken to hold.
func (r *Rule) Unmeasured() *Rule {
	if !r.measures && !r.connected {
		return r
	}
	return &Rule{text: r.text, root: unmeasured(r.root, false), relations: r.relations}
}

// unmeasured replaces what asks for newest values by what lets through more: true,
// and false below a negation.
func unmeasured(of condition, negated bool) condition {
	switch x := of.(type) {
	case negation:
		return negation{unmeasured(x.of, !negated)}
	case junction:
		parts := make([]condition, len(x.parts))
		for i, part := range x.parts {
			parts[i] = unmeasured(part, negated)
		}
		return junction{and: x.and, parts: parts}
	}
	// Neighbours may be compared with the twin itself.
	if asksLive(of) {
		return constant{!negated}
	}
	return of
}

// asksLive says whether a condition asks for something live of the object.
func asksLive(of condition) bool {
	switch x := of.(type) {
	case negation:
		return asksLive(x.of)
	case junction:
		return slices.ContainsFunc(x.parts, asksLive)
	case truth:
		return changesBySelf(&x.of)
	case comparison:
		return changesBySelf(x.left.field) || changesBySelf(x.right.field)
	case quantifier:
		return asksLive(x.where)
	case tally:
		return asksLive(x.where)
	}
	return false
}

func changesBySelf(f *field) bool {
	return f != nil && f.depth == 0 && (f.measure != "" || f.name == FieldConnected)
}
