package bench

import (
	"fmt"
	"slices"
)

// reportStructure says how fast groups were moved and devices made.
func (r *runner) reportStructure(out *Report) {
	out.Moves, out.RawMoves = latencyOf(requestsOf(r.moving.ours)), latencyOf(requestsOf(r.moving.raw))
	out.MovesOfRaw, out.MovedGroups = part(perSecond(r.moving.ours), perSecond(r.moving.raw)), r.share(len(hierarchies)-1)
	out.Made = append(out.Made, r.made("holon", r.making.ours))
	for _, sessions := range makingSessions {
		raw := r.making.raw[sessions]
		made := r.made(fmt.Sprintf("raw, %d at a time", sessions), raw)
		made.Ours = part(r.devicesPerSecond(r.making.ours), r.devicesPerSecond(raw))
		out.Made = append(out.Made, made)
	}
}

func (r *runner) made(name string, samples []sample) Made {
	return Made{name, spreadOf(r.devicesPerSecond(samples)), latencyOf(requestsOf(samples)), nil, processorOf(samples, len(samples)*r.Made)}
}

func (r *runner) devicesPerSecond(samples []sample) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = float64(r.Made) / s.took.Seconds()
	}
	return out
}

// report says how fast what was no longer kept went, and readings were written.
func (t *retention) report() []Kept {
	var out []Kept
	for _, f := range t.forms() {
		k := Kept{Name: f.name}
		n := 0
		for _, flow := range slices.Concat(f.gone, f.wrote) {
			n += flow.measurements
		}
		k.Processor = processorOf(f.samples, n)
		if len(f.gone) > 0 {
			s := spreadOf(flows(f.gone))
			k.Gone = &s
		}
		if len(f.wrote) > 0 {
			s := spreadOf(flows(f.wrote))
			k.Written = &s
		}
		if k.Gone != nil && k.Written != nil {
			k.GoneOfAlone, k.OfAlone = part(flows(f.gone), flows(t.keeping.gone)), part(flows(f.wrote), flows(t.writing.wrote))
		}
		out = append(out, k)
	}
	return out
}
