package main

import (
	"testing"
)

func TestSpanIsWholeHours(t *testing.T) {
	e := expect([]reading{line(1, at12-1, 19, 1), line(1, at12+5*hourMillis+1, 20, 0)})
	if from, to := span(e.Series["A-1"]["door"]); from != at12-hourMillis || to != at12+6*hourMillis {
		t.Errorf("from %s to %s", moment(from), moment(to))
	}
}

func TestFirstDifference(t *testing.T) {
	want := []sample{{at12, 20.0}, {at12 + 1, true}}
	for name, test := range map[string]struct {
		got  []sample
		says string
	}{
		"value":   {[]sample{{at12, 20.0}, {at12 + 1, false}}, "2 samples, not 2; the first that differs is false at 2016-03-15T12:00:00.001Z, not true at 2016-03-15T12:00:00.001Z"},
		"missing": {want[1:], "1 samples, not 2; the first that differs is true at 2016-03-15T12:00:00.001Z, not 20 at 2016-03-15T12:00:00.000Z"},
		"short":   {want[:1], "1 samples, not 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := firstDifference(test.got, want); got != test.says {
				t.Errorf("got %q, want %q", got, test.says)
			}
		})
	}
}

func TestAssetMeasure(t *testing.T) {
	if got := assetMeasure(3, measures[7]); got != "node3_window" {
		t.Errorf("got %s", got)
	}
	if nodes := len(templates()[2].input["measures"].([]map[string]any)); nodes != nodesPerLocation*len(measures) {
		t.Errorf("the asset's template has %d measures", nodes)
	}
}
