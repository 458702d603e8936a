package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%d cores, %s, %s; stores, server and clients share them. %.0f s.\n", r.Machine.Cores, r.Machine.System, r.Machine.Go, r.Seconds)
	s := r.Sizes
	fmt.Fprintf(w, "Seed %d; %d groups, %d devices, %d policies, %.1f of them on a device. Medians of %d rounds; (lowest–highest).\n",
		s.Seed, s.Groups, s.Devices, s.Policies, s.MeanChain, s.Rounds)
	for _, f := range r.Filled {
		fmt.Fprintf(w, "Made %s %s in %.1f s: %s a second.\n", thousands(float64(f.Objects)), f.What, f.Seconds, thousands(f.PerSecond))
	}
	if len(r.Writes) > 0 {
		fmt.Fprintf(w, "\nWriting %d readings of %d values, of %d devices. A burst is how many readings of a device come together.\n",
			s.Readings, s.Values, s.ReadingDevices)
		if err := r.printWrites(w); err != nil {
			return err
		}
	}
	for i, v := range r.Visible {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "Until a reading that is sent over HTTP is visible in GraphQL, beside %s measurements a second: p50 %.1f ms, p99 %.1f ms.\n",
			thousands(float64(v.MeasurementsPerSecond)), v.Latency.P50, v.Latency.P99)
	}
	if len(r.Reads) > 0 {
		fmt.Fprintf(w, "\nReading: GraphQL over HTTP beside the driver alone, with the same answers.\n")
		if err := r.printReads(w); err != nil {
			return err
		}
	}
	if err := r.printParts(w); err != nil {
		return err
	}
	var memory []string
	for _, name := range slices.Sorted(maps.Keys(r.PeakMemory)) {
		memory = append(memory, fmt.Sprintf("%s %d MB", name, r.PeakMemory[name]>>20))
	}
	if len(memory) > 0 {
		fmt.Fprintf(w, "\nPeak memory: %s.\n", strings.Join(memory, ", "))
	}
	return nil
}

func (r *Report) printWrites(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "  \tburst\tmeasurements/s\t\trequests/s\tp50 ms\tp99 ms\tof raw\tof raw, large batches\tprocessor µs a measurement\n")
	for _, one := range r.Writes {
		requests, p50, p99 := "", "", ""
		if one.Requests != nil {
			requests, p50, p99 = thousands(one.Requests.Median), fmt.Sprintf("%.1f", one.Latency.P50), fmt.Sprintf("%.1f", one.Latency.P99)
		}
		fmt.Fprintf(t, "  %s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.Name, one.Burst, thousands(one.Measurements.Median), around(one.Measurements),
			requests, p50, p99, percent(one.OfRaw), percent(one.OfWide), processor(one.Processor, 1))
	}
	return t.Flush()
}

func (r *Report) printReads(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "  \tconnections\tbytes\traw/s\t\tp50 ms\tp99 ms\tGraphQL/s\t\tp50 ms\tp99 ms\tof raw\tprocessor µs a request: raw\tGraphQL\n")
	for _, one := range r.Reads {
		raw, rawProcessor := "\t\t\t", ""
		if one.Raw != nil {
			raw, rawProcessor = one.Raw.print(), processor(one.Raw.Processor, 0)
		}
		fmt.Fprintf(t, "  %s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", one.Name, one.Connections, one.Bytes, raw, one.GraphQL.print(), percent(one.OfRaw),
			rawProcessor, processor(one.GraphQL.Processor, 0))
	}
	return t.Flush()
}

// print gives four columns.
func (a Asked) print() string {
	return fmt.Sprintf("%s\t%s\t%.2f\t%.2f", thousands(a.Requests.Median), around(a.Requests), a.Latency.P50, a.Latency.P99)
}

func around(s Spread) string { return "(" + thousands(s.Min) + "–" + thousands(s.Max) + ")" }

func percent(s *Spread) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %% (%.0f–%.0f)", 100*s.Median, 100*s.Min, 100*s.Max)
}

// thousands writes a number with a comma before every three digits.
func thousands(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// processor writes processor times, with some digits.
func processor(times map[string]float64, digits int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(times)) {
		parts = append(parts, fmt.Sprintf("%s %.*f", name, digits, times[name]))
	}
	return strings.Join(parts, ", ")
}
