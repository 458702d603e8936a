package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// printParts writes about retention, moves, and devices that were made.
func (r *Report) printParts(w io.Writer) error {
	if len(r.Retention) > 0 {
		fmt.Fprintf(w, "\nRetention: %s measurements are no longer kept one by one, and go; readings come over HTTP, burst 1.\n", thousands(float64(r.Sizes.Kept)))
		if err := r.printRetention(w); err != nil {
			return err
		}
	}
	if r.Moves != nil && r.RawMoves != nil {
		fmt.Fprintf(w, "\nMoving a sub-tree of %s groups: p50 %.0f ms, p99 %.0f ms; plain Cypher that writes the same: p50 %.0f ms, p99 %.0f ms. Holon's speed of raw: %s.\n",
			thousands(float64(r.MovedGroups)), r.Moves.P50, r.Moves.P99, r.RawMoves.P50, r.RawMoves.P99, percent(r.MovesOfRaw))
	}
	if len(r.Made) > 0 {
		fmt.Fprintf(w, "\nMaking %s devices in three groups each, a thousand in a transaction, with their changes; plain Cypher writes the same.\n", thousands(float64(r.Sizes.Made)))
		return r.printMade(w)
	}
	return nil
}

func (r *Report) printMade(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "  \tdevices/s\t\tp50 ms\tp99 ms\tHolon's speed of it\tprocessor µs a device\n")
	for _, one := range r.Made {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%.0f\t%.0f\t%s\t%s\n", one.Name, thousands(one.Devices.Median), around(one.Devices), one.Latency.P50, one.Latency.P99,
			percent(one.Ours), processor(one.Processor, 0))
	}
	return t.Flush()
}

func (r *Report) printRetention(w io.Writer) error {
	speed := func(s *Spread) string {
		if s == nil {
			return "\t"
		}
		return thousands(s.Median) + "\t" + around(*s)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "  \tgone/s\t\tof alone\twritten/s\t\tof alone\tprocessor µs a measurement\n")
	for _, one := range r.Retention {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", one.Name, speed(one.Gone), percent(one.GoneOfAlone), speed(one.Written), percent(one.OfAlone), processor(one.Processor, 1))
	}
	return t.Flush()
}
