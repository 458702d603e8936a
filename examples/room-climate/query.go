package main

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/examples/internal/api"
)

// assetOf finds the asset that a device is linked to, and the device's number
// there, from the names that its measures have on the asset.
func assetOf(ctx context.Context, client *api.Client, device string) (string, int, error) {
	var data struct {
		Device *struct {
			Links []struct {
				Asset    struct{ Reference string }
				Measures []struct{ Asset string }
			}
		}
	}
	err := client.Query(ctx, `query($reference: String!) { device(reference: $reference) { links(open: true) { asset { reference } measures { asset } } } }`,
		map[string]any{"reference": device}, &data)
	if err != nil {
		return "", 0, err
	}
	if data.Device == nil {
		return "", 0, errNoDevice
	}
	for _, link := range data.Device.Links {
		var node int
		if len(link.Measures) == len(measures) {
			if _, err := fmt.Sscanf(link.Measures[0].Asset, "node%d_", &node); err == nil {
				return link.Asset.Reference, node, nil
			}
		}
	}
	return "", 0, fmt.Errorf("it is linked to no location's asset")
}

// live is the newest value of each measure of a device or an asset.
func live(ctx context.Context, client *api.Client, kind, reference string) (map[string]sample, error) {
	var data struct {
		Twin *struct {
			Live []struct {
				Measure    string
				Value      any
				MeasuredAt time.Time
			}
		}
	}
	err := client.Query(ctx, `query($reference: String!) { twin: `+kind+`(reference: $reference) { live { measure value measuredAt } } }`,
		map[string]any{"reference": reference}, &data)
	if err != nil {
		return nil, err
	}
	if data.Twin == nil {
		return nil, errNoDevice
	}
	all := map[string]sample{}
	for _, one := range data.Twin.Live {
		all[one.Measure] = sample{one.MeasuredAt.UnixMilli(), one.Value}
	}
	return all, nil
}

// point is one interval that a series was reduced to.
type point struct {
	From  time.Time
	Count int
	Value any
}

// hoursOf is a measure of a device by hour: counts, and means of numbers.
func hoursOf(ctx context.Context, client *api.Client, device string, m measure, from, to int64) (map[int64]hour, error) {
	var data struct {
		Device *struct{ Counts, Means []point }
	}
	err := client.Query(ctx, `query($reference: String!, $measure: String!, $from: DateTime!, $to: DateTime!, $number: Boolean!) {
		device(reference: $reference) {
			counts: aggregate(measure: $measure, from: $from, to: $to, every: "PT1H", function: COUNT) { from count value }
			means: aggregate(measure: $measure, from: $from, to: $to, every: "PT1H", function: MEAN) @include(if: $number) { from count value }
		}
	}`, map[string]any{"reference": device, "measure": m.Name, "from": moment(from), "to": moment(to), "number": !m.Boolean}, &data)
	if err != nil {
		return nil, err
	}
	if data.Device == nil {
		return nil, errNoDevice
	}
	hours := map[int64]hour{}
	for _, p := range data.Device.Counts {
		if n, ok := p.Value.(float64); !ok || int(n) != p.Count {
			return nil, fmt.Errorf("the hour %s counts %v and has the count %d", p.From, p.Value, p.Count)
		}
		hours[p.From.UnixMilli()] = hour{Count: p.Count}
	}
	for _, p := range data.Device.Means {
		mean, ok := p.Value.(float64)
		if h := hours[p.From.UnixMilli()]; !ok || h.Count != p.Count {
			return nil, fmt.Errorf("the hour %s has the mean %v of %d values, but %d values are counted", p.From, p.Value, p.Count, h.Count)
		}
		hours[p.From.UnixMilli()] = hour{Count: p.Count, Mean: &mean}
	}
	return hours, nil
}

// countOf counts a measure's values. Hours are used only because an answer must
// not have too many intervals.
func countOf(ctx context.Context, client *api.Client, device, measure string, from, to int64) (int, error) {
	var data struct {
		Device *struct{ Counts []point }
	}
	err := client.Query(ctx, `query($reference: String!, $measure: String!, $from: DateTime!, $to: DateTime!) {
		device(reference: $reference) { counts: aggregate(measure: $measure, from: $from, to: $to, every: "PT1H", function: COUNT) { count } }
	}`, map[string]any{"reference": device, "measure": measure, "from": moment(from), "to": moment(to)}, &data)
	if err != nil {
		return 0, err
	}
	if data.Device == nil {
		return 0, errNoDevice
	}
	count := 0
	for _, p := range data.Device.Counts {
		count += p.Count
	}
	return count, nil
}

// samples reads all values of a measure of a device or an asset in a time, page
// by page.
func samples(ctx context.Context, client *api.Client, kind, reference, measure string, from, to int64) ([]sample, error) {
	var all []sample
	for next := moment(from); ; {
		var data struct {
			Twin *struct {
				Samples struct {
					At       []time.Time
					Value    []any
					NextFrom *string
				}
			}
		}
		err := client.Query(ctx, `query($reference: String!, $measure: String!, $from: DateTime!, $to: DateTime!) {
			twin: `+kind+`(reference: $reference) { samples(measure: $measure, from: $from, to: $to, limit: 5000) { at value nextFrom } }
		}`, map[string]any{"reference": reference, "measure": measure, "from": next, "to": moment(to)}, &data)
		switch {
		case err != nil:
			return nil, err
		case data.Twin == nil:
			return nil, errNoDevice
		}
		page := data.Twin.Samples
		if len(page.At) != len(page.Value) {
			return nil, fmt.Errorf("%d times and %d values", len(page.At), len(page.Value))
		}
		for i, at := range page.At {
			all = append(all, sample{at.UnixMilli(), page.Value[i]})
		}
		if page.NextFrom == nil {
			return all, nil
		}
		if len(page.At) == 0 {
			return nil, fmt.Errorf("an empty page that is not the last, at %s", *page.NextFrom)
		}
		next = *page.NextFrom
	}
}

// deadLetters counts the readings of the account that could not be used.
func deadLetters(ctx context.Context, client *api.Client) (int, error) {
	var data struct{ DeadLetters struct{ TotalCount int } }
	err := client.Query(ctx, `{ deadLetters(first: 1) { totalCount } }`, nil, &data)
	return data.DeadLetters.TotalCount, err
}
