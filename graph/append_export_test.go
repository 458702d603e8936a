package graph

// FailWrites makes the partition's writes fail as long as fail says so, since
// no reading is known that the database refuses.
func (p *Partition) FailWrites(fail func(references []string) error) {
	p.mustFail = func(items []item) error {
		var references []string
		for _, it := range items {
			if it.reading.Refused == nil {
				references = append(references, it.reading.Reference)
			}
		}
		return fail(references)
	}
}
