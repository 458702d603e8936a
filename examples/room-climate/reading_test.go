package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someLines = `1, 1458031648545, 1, 1, 20.48, 42.332, 185.71, 492.2, 0, 0, 0, 0
2, 1458031648645, 1, 4, 20.73, 39.983, 214.29, 657.8, 2, 3, 1, 0

3, 1458031651038, 3, 1, 20.89, 40.712, 174.29, 552.0, 1, 1, 0, 1
`

func TestParse(t *testing.T) {
	readings, err := parse("A", strings.NewReader(someLines))
	if err != nil || len(readings) != 3 {
		t.Fatalf("%d readings, %v", len(readings), err)
	}
	want := reading{Location: "A", Node: 4, At: 1458031648645, Values: [8]float64{20.73, 39.983, 214.29, 657.8, 2, 3, 1, 0}}
	if readings[1] != want || readings[1].Device() != "A-4" {
		t.Errorf("got %+v, want %+v", readings[1], want)
	}
	message := readings[1].message(true)
	values := message["values"].(map[string]any)
	if message["device"] != "A-4" || values["temperature"] != 20.73 || values["door"] != true || values["window"] != false || len(values) != 8 {
		t.Errorf("got %v", message)
	}
	if _, named := readings[1].message(false)["device"]; named {
		t.Error("the device is named although the topic does")
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "1, 1458031648545, 1, 1, 20.48, 42.332, 185.71, 492.2, 0, 0, 0, 0\n"
	for name, test := range map[string]struct{ line, says string }{
		"too few columns": {"1, 2, 3", "2: 3 columns, not 12"},
		"time":            {strings.Replace(good, "1458031648545", "soon", 1), "2: the absolute time"},
		"node":            {strings.Replace(good, "1, 1, 20", "1, 6, 20", 1), `2: node "6" is not one of 1 to 5`},
		"number":          {strings.Replace(good, "20.48", "warm", 1), "2: temperature"},
		"not finite":      {strings.Replace(good, "20.48", "NaN", 1), "no finite number"},
		"door":            {strings.Replace(good, "0, 0, 0, 0", "0, 0, 2, 0", 1), `door: "2" is neither 0 nor 1`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse("A", strings.NewReader(good+test.line))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "location_B-measurement01.csv", someLines)
	write(t, dir, "location_A-measurement02.csv", someLines)
	readings, err := readFiles(filepath.Join(dir, "*.csv"))
	if err != nil || len(readings) != 6 || readings[0].Location != "A" || readings[5].Location != "B" {
		t.Fatalf("got %+v, %v", readings, err)
	}
	if _, err := readFiles(filepath.Join(dir, "*.txt")); err == nil {
		t.Error("no file is no error")
	}
	write(t, dir, "other.csv", someLines)
	if _, err := readFiles(filepath.Join(dir, "*.csv")); err == nil || !strings.Contains(err.Error(), "other.csv") {
		t.Errorf("a file of no location: %v", err)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFirstTimes(t *testing.T) {
	a := reading{Location: "A", Node: 1, At: 1}
	other, otherNode, later := a, a, a
	other.Values[0], otherNode.Node, later.At = 1, 2, 2
	first, again := firstTimes([]reading{a, other, otherNode, later, a})
	if len(first) != 3 || len(again) != 2 || again[0] != other || again[1] != a {
		t.Errorf("first %v, again %v", first, again)
	}
}
