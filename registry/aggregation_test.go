package registry_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones of the test, wherever it runs

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

func TestEdges(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, c := range map[string]struct {
		ask  registry.Aggregation
		want []string
	}{
		"hours in UTC": {registry.Aggregation{From: at("2026-03-01T10:30:00Z"), To: at("2026-03-01T12:00:00Z"), Every: time.Hour},
			[]string{"2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"}},
		"days around the change to summer time": {registry.Aggregation{From: at("2026-03-28T12:00:00Z"), To: at("2026-03-30T00:00:00Z"), Every: 24 * time.Hour, Zone: berlin},
			[]string{"2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"}},
		"parts of the short day": {registry.Aggregation{From: at("2026-03-28T23:00:00Z"), To: at("2026-03-29T22:00:00Z"), Every: 12 * time.Hour, Zone: berlin},
			[]string{"2026-03-28T23:00:00Z", "2026-03-29T11:00:00Z", "2026-03-29T22:00:00Z"}},
		"hours where the clock is half an hour off": {registry.Aggregation{From: at("2026-03-01T10:00:00Z"), To: at("2026-03-01T11:00:00Z"), Every: time.Hour, Zone: kolkata},
			[]string{"2026-03-01T09:30:00Z", "2026-03-01T10:30:00Z", "2026-03-01T11:30:00Z"}},
		"weeks begin on Monday": {registry.Aggregation{From: at("2026-03-01T00:00:00Z"), To: at("2026-03-03T00:00:00Z"), Calendar: registry.CalendarWeek},
			[]string{"2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"}},
		"months": {registry.Aggregation{From: at("2026-01-31T00:00:00Z"), To: at("2026-03-01T00:00:00Z"), Calendar: registry.CalendarMonth},
			[]string{"2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"}},
		"two days at a time, counted from 1970": {registry.Aggregation{From: at("2026-03-02T12:00:00Z"), To: at("2026-03-03T00:00:00Z"), Every: 48 * time.Hour, Zone: time.UTC},
			[]string{"2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			edges, err := c.ask.Edges()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range edges {
				got = append(got, time.UnixMilli(e).UTC().Format(time.RFC3339))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, ask := range map[string]registry.Aggregation{
		"neither":     {From: at("2026-03-01T00:00:00Z"), To: at("2026-03-02T00:00:00Z")},
		"both":        {From: at("2026-03-01T00:00:00Z"), To: at("2026-03-02T00:00:00Z"), Every: time.Hour, Calendar: registry.CalendarDay},
		"too many":    {From: at("2000-01-01T00:00:00Z"), To: at("2026-03-02T00:00:00Z"), Every: time.Hour},
		"five hours":  {From: at("2026-03-01T00:00:00Z"), To: at("2026-03-02T00:00:00Z"), Every: 5 * time.Hour, Zone: berlin},
		"nothing yet": {From: at("2026-03-01T00:00:00Z"), To: at("2026-03-02T00:00:00Z"), Every: time.Microsecond},
	} {
		if _, err := ask.Edges(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
