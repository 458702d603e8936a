package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/holon-registry/holon/examples/internal/api"
)

// shownDifferences is how many differences are printed.
const shownDifferences = 40

// verifier compares what Holon has with what the files say it must have.
type verifier struct {
	client   *api.Client
	expected *expectation
	out      io.Writer
	// sent says whether this run sent the readings.
	sent              bool
	deadLettersBefore int
	differences       []string
}

// row is what was compared of one device.
type row struct {
	device                             string
	expected, counted, onDevice, asset int
	hours, live                        int
}

// run compares everything, prints a table, and returns an error if anything
// differs.
func (v *verifier) run(ctx context.Context) error {
	if err := v.waitStored(ctx); err != nil {
		return err
	}
	begin := time.Now()
	table := tabwriter.NewWriter(v.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "device\texpected\tcounted\tsamples\ton the asset\thourly means\tlive\t\t")
	for _, device := range slices.Sorted(maps.Keys(v.expected.Series)) {
		already := len(v.differences)
		r, err := v.device(ctx, device)
		if err != nil {
			return fmt.Errorf("%s: %w", device, err)
		}
		verdict := "the same"
		if n := len(v.differences) - already; n > 0 {
			verdict = fmt.Sprintf("%d differences", n)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", r.device, r.expected, r.counted, r.onDevice, r.asset, r.hours, r.live, verdict)
	}
	table.Flush()
	if err := v.deadLetters(ctx); err != nil {
		return err
	}
	fmt.Fprintf(v.out, "Compared in %.1f s\n", time.Since(begin).Seconds())
	for i, one := range v.differences {
		if i == shownDifferences {
			fmt.Fprintf(v.out, "  ... and %d more\n", len(v.differences)-i)
			break
		}
		fmt.Fprintln(v.out, "  differs:", one)
	}
	if len(v.differences) > 0 {
		return fmt.Errorf("%d differences between Holon and the files", len(v.differences))
	}
	fmt.Fprintln(v.out, "Everything is as the files say.")
	return nil
}

func (v *verifier) differ(format string, values ...any) {
	v.differences = append(v.differences, fmt.Sprintf(format, values...))
}

// device compares the live state, then measure by measure.
func (v *verifier) device(ctx context.Context, device string) (row, error) {
	r := row{device: device}
	asset, node, err := assetOf(ctx, v.client, device)
	if err != nil {
		return r, err
	}
	onDevice, err := live(ctx, v.client, "device", device)
	if err != nil {
		return r, err
	}
	onAsset, err := live(ctx, v.client, "asset", asset)
	if err != nil {
		return r, err
	}
	for _, m := range measures {
		want := v.expected.Series[device][m.Name]
		for name, got := range map[string]sample{"live": onDevice[m.Name], "live of the asset": onAsset[assetMeasure(node, m)]} {
			if got != want.Newest {
				v.differ("%s %s, %s: %v, not %v", device, m.Name, name, got, want.Newest)
				continue
			}
			r.live++
		}
		if err := v.measure(ctx, &r, asset, node, m); err != nil {
			return r, fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return r, nil
}

// measure compares the count, the hours and every single value, of the device
// and of the asset.
func (v *verifier) measure(ctx context.Context, r *row, asset string, node int, m measure) error {
	want := v.expected.Series[r.device][m.Name]
	from, to := span(want)
	hours, err := hoursOf(ctx, v.client, r.device, m, from, to)
	if err != nil {
		return err
	}
	counted := 0
	for _, begin := range sortedKeys(want.Hours, hours) {
		counted += hours[begin].Count
		if !want.Hours[begin].equal(hours[begin]) {
			v.differ("%s %s, hour %s: %s, not %s", r.device, m.Name, moment(begin), hours[begin], want.Hours[begin])
			continue
		}
		r.hours++
	}
	if counted != want.Count {
		v.differ("%s %s: %d values are counted, not %d", r.device, m.Name, counted, want.Count)
	}
	onDevice, err := samples(ctx, v.client, "device", r.device, m.Name, from, to)
	if err != nil {
		return err
	}
	onAsset, err := samples(ctx, v.client, "asset", asset, assetMeasure(node, m), from, to)
	if err != nil {
		return err
	}
	if !slices.Equal(onDevice, want.samples) {
		v.differ("%s %s: %s", r.device, m.Name, firstDifference(onDevice, want.samples))
	}
	if !slices.Equal(onAsset, onDevice) {
		v.differ("%s %s: not the same as %s of the device: %s", asset, assetMeasure(node, m), m.Name, firstDifference(onAsset, onDevice))
	}
	r.expected += want.Count
	r.counted += counted
	r.onDevice += len(onDevice)
	r.asset += len(onAsset)
	return nil
}

// span is the whole hours that a series lies in.
func span(s *series) (from, to int64) {
	begins := sortedKeys(s.Hours)
	return begins[0], begins[len(begins)-1] + hourMillis
}

func firstDifference(got, want []sample) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d samples, not %d; the first that differs is %v at %s, not %v at %s",
				len(got), len(want), got[i].Value, moment(got[i].At), want[i].Value, moment(want[i].At))
		}
	}
	return fmt.Sprintf("%d samples, not %d", len(got), len(want))
}

// patience is how long the number of stored readings may stand still.
const patience = 30 * time.Second

// waitStored waits until as many readings of each device are stored as are
// expected: an acknowledged reading is safe, and stored a moment later.
func (v *verifier) waitStored(ctx context.Context) error {
	begin, last, moved := time.Now(), -1, time.Now()
	for {
		stored := 0
		for device, byMeasure := range v.expected.Series {
			want := byMeasure[measures[0].Name]
			from, to := span(want)
			count, err := countOf(ctx, v.client, device, measures[0].Name, from, to)
			if err != nil {
				return err
			}
			stored += min(count, want.Count)
		}
		if stored == v.expected.Stored {
			fmt.Fprintf(v.out, "Stored %.1f s after the comparison began\n", time.Since(begin).Seconds())
			return nil
		}
		if stored != last {
			last, moved = stored, time.Now()
		}
		if time.Since(moved) > patience {
			fmt.Fprintf(v.out, "Only %d of %d readings are stored, and no more came for %s\n", stored, v.expected.Stored, patience)
			return nil // the table says which are missing
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// deadLetters compares their number: each sending adds the conflicts anew.
func (v *verifier) deadLetters(ctx context.Context) error {
	want := v.deadLettersBefore
	var now int
	if v.sent {
		want += v.expected.Conflicts
	}
	for attempt := 0; ; attempt++ { // conflicts may be the last that is worked on
		var err error
		if now, err = deadLetters(ctx, v.client); err != nil {
			return err
		}
		if now >= want || attempt == 50 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Fprintf(v.out, "Dead letters: %d, expected %d\n", now, want)
	switch {
	case now != want:
		v.differ("%d dead letters, not %d", now, want)
	case !v.sent && v.expected.Conflicts > 0 && now%v.expected.Conflicts != 0:
		v.differ("%d dead letters: not a multiple of the %d conflicts of one sending", now, v.expected.Conflicts)
	}
	return nil
}

// errNoDevice is the answer where Holon has no such device or asset.
var errNoDevice = errors.New("there is no such device or asset: send the files first")
