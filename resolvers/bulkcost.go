package resolvers

// What a bulk request costs. Its results cost once an item, its rehearsal once,
// and the request asks for both in one selection, of which a cost function is
// told the sum: so a rehearsal's cost stands in the upper bits of it.

const (
	rehearsalShift = 40
	// mostOfBulk is more than any request may cost, and leaves room for many of
	// either below and above the shift.
	mostOfBulk = 1 << 20
)

func bulkResults(child int) int { return min(child, mostOfBulk) }

func bulkRehearsal(child int) int { return min(child, mostOfBulk) << rehearsalShift }

// bulkCost is low for an item's own fields: they are known, and nothing is read
// for them. What is only rehearsed has no objects; what is not has no rehearsal.
func bulkCost(child, items int, rehearse bool) int {
	results, rehearsal := child&(1<<rehearsalShift-1), child>>rehearsalShift
	if rehearse {
		return 1 + rehearsal + items/10
	}
	return 1 + items*results/10
}
