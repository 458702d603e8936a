package resolvers

import "testing"

// TestBulkCost: a request may ask for a rehearsal and for results at once, as
// one whose variables say which it is does, and pays for what it gets.
func TestBulkCost(t *testing.T) {
	results, rehearsal := bulkResults(20), bulkRehearsal(3000)
	for name, c := range map[string]struct{ got, want int }{
		"results":                      {bulkCost(results, 600, false), 1201},
		"results beside a rehearsal":   {bulkCost(results+rehearsal, 600, false), 1201},
		"a rehearsal beside results":   {bulkCost(results+rehearsal, 600, true), 3061},
		"two rehearsals":               {bulkCost(results+rehearsal+rehearsal, 0, true), 6001},
		"results past all bounds":      {bulkCost(4*bulkResults(1<<50), 10, false), 1 + 4*mostOfBulk},
		"a rehearsal past all bounds":  {bulkCost(bulkRehearsal(1<<50), 0, true), 1 + mostOfBulk},
		"no rehearsal beyond its part": {bulkCost(bulkRehearsal(1<<50), 1000, false), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, not %d", name, c.got, c.want)
		}
	}
}
