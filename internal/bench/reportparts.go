package bench

import "fmt"

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
	line := func(name string, gone, written []flow) Kept {
		k := Kept{Name: name}
		n := 0
		for _, f := range append(append([]flow{}, gone...), written...) {
			n += f.measurements
		}
		k.Processor = processorOf(t.processor[name], n)
		if len(gone) > 0 {
			s := spreadOf(flows(gone))
			k.Gone = &s
		}
		if len(written) > 0 {
			s := spreadOf(flows(written))
			k.Written = &s
		}
		return k
	}
	both := line(keepBeside, t.goneBeside, t.wroteBeside)
	both.GoneOfAlone, both.OfAlone = part(flows(t.goneBeside), flows(t.gone)), part(flows(t.wroteBeside), flows(t.alone))
	return []Kept{line(ingestAlone, nil, t.alone), line(keepAlone, t.gone, nil), both}
}
