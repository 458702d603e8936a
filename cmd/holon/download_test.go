package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// downloaded gets /v1/measurements.
func downloaded(t *testing.T, c apiClient, ask url.Values) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/measurements?"+ask.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(raw)
}

func TestDownload(t *testing.T) {
	c, account := newAccount(t)
	ask[any](t, c, `mutation { createDevice(input: {reference: "D1"}) { device { id } } }`, nil)
	const readings = 12_000 // more than one page
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for from := 0; from < readings; from += 1000 {
		var list []map[string]any
		for i := from; i < from+1000; i++ {
			list = append(list, map[string]any{"device": "d1", "measuredAt": start.Add(time.Duration(i) * time.Second), "values": map[string]any{"a": float64(i) / 4, "b": "say \"hi\", " + fmt.Sprint(i)}})
		}
		ask[any](t, c, `mutation($input: RecordReadingsInput!) { recordReadings(input: $input) { accepted } }`, map[string]any{"input": map[string]any{"readings": list}})
	}
	var body string
	deadline := time.Now().Add(time.Minute)
	for {
		status, got := downloaded(t, c, url.Values{"device": {"d1"}})
		if body = got; status == http.StatusOK && strings.Count(body, "\n") == 2*readings+1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d: %d lines", status, strings.Count(body, "\n"))
		}
		time.Sleep(200 * time.Millisecond)
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[int]string{
		0: "device|measure|at|value|unit", 1: "D1|a|2026-03-01T00:00:00.000Z|0|", readings: "D1|a|2026-03-01T03:19:59.000Z|2999.75|",
		readings + 1: `D1|b|2026-03-01T00:00:00.000Z|say "hi", 0|`,
	} {
		if got := strings.Join(rows[line], "|"); got != want {
			t.Errorf("line %d is %s, want %s", line, got, want)
		}
	}
	_, lines := downloaded(t, c, url.Values{"device": {"d1"}, "measure": {"a"}, "from": {"2026-03-01T00:00:01Z"}, "to": {"2026-03-01T00:00:02Z"}, "format": {"ndjson"}})
	if want := `{"at":"2026-03-01T00:00:01.000Z","device":"D1","measure":"a","value":0.25}` + "\n"; lines != want {
		t.Errorf("got %s, want %s", lines, want)
	}
	other, _ := newAccount(t)
	bound := clientOf(t, account, "d1")
	for name, refused := range map[string]struct {
		client apiClient
		ask    url.Values
		status int
		says   string
	}{
		"another account": {other, url.Values{"device": {"d1"}}, http.StatusNotFound, "NOT_FOUND"},
		"a device's key":  {bound, url.Values{"device": {"d1"}}, http.StatusForbidden, "FORBIDDEN"},
		"no key":          {apiClient{url: c.url}, url.Values{"device": {"d1"}}, http.StatusUnauthorized, "UNAUTHENTICATED"},
		"no twin":         {c, url.Values{}, http.StatusBadRequest, "either `device` or `asset`"},
		"a wrong time":    {c, url.Values{"device": {"d1"}, "from": {"yesterday"}}, http.StatusBadRequest, "yesterday"},
		"a wrong format":  {c, url.Values{"device": {"d1"}, "format": {"xml"}}, http.StatusBadRequest, "xml"},
		"a wrong name":    {c, url.Values{"device": {"d1"}, "until": {"x"}}, http.StatusBadRequest, "until"},
	} {
		if status, body := downloaded(t, refused.client, refused.ask); status != refused.status || !strings.Contains(body, refused.says) {
			t.Errorf("%s: %d %s, want %d", name, status, body, refused.status)
		}
	}
}

// TestDownloadOfMeasures tells what a device never measured from what it cannot
// measure.
func TestDownloadOfMeasures(t *testing.T) {
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "tank", publish: true, measures: [{name: "level", type: "number"}, {name: "double", type: "number", computed: "measures.level * 2"}]}) { template { id } }
		createDevice(input: {reference: "t1", template: "tank"}) { device { id } }
	}`, nil)
	for measure, want := range map[string]struct {
		status int
		says   string
	}{
		"level":  {http.StatusOK, "device,measure,at,value,unit\n"},
		"depth":  {http.StatusNotFound, "there are double, level"},
		"double": {http.StatusBadRequest, "is computed"},
	} {
		if status, body := downloaded(t, c, url.Values{"device": {"t1"}, "measure": {measure}}); status != want.status || !strings.Contains(body, want.says) {
			t.Errorf("%s: %d %s, want %d %s", measure, status, body, want.status, want.says)
		}
	}
}
