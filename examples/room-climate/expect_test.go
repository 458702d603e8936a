package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// at12 is a whole hour.
const at12 = 1458043200000

func line(node, at int64, temperature, door float64) reading {
	return reading{Location: "A", Node: int(node), At: at, Values: [8]float64{temperature, 40, 100, 500, 1, 2, door, 0}}
}

func TestExpect(t *testing.T) {
	e := expect([]reading{
		line(1, at12+1000, 21, 0), // later than the next two
		line(1, at12-1, 19, 1),
		line(1, at12, 20, 0),
		line(1, at12, 20, 0),     // a repeat
		line(1, at12, 25, 0),     // a conflict: the first is stored
		line(2, at12+1000, 7, 1), // another node at the same time
	})
	if e.Readings != 6 || e.Stored != 4 || e.Repeats != 1 || e.Conflicts != 1 {
		t.Errorf("got %+v", e)
	}
	temperature := e.Series["A-1"]["temperature"]
	if temperature.Count != 3 || temperature.Newest != (sample{at12 + 1000, 21.0}) {
		t.Errorf("got %+v", temperature)
	}
	before, after := temperature.Hours[at12-hourMillis], temperature.Hours[at12]
	if len(temperature.Hours) != 2 || before.Count != 1 || *before.Mean != 19 || after.Count != 2 || *after.Mean != 20.5 {
		t.Errorf("got %v and %v", before, after)
	}
	if got := temperature.samples; len(got) != 3 || got[0] != (sample{at12 - 1, 19.0}) || got[1] != (sample{at12, 20.0}) {
		t.Errorf("got %v", got)
	}
	door := e.Series["A-1"]["door"]
	if door.Newest.Value != false || door.samples[0].Value != true || door.Hours[at12].Mean != nil || door.Hours[at12].Count != 2 {
		t.Errorf("got %+v", door)
	}
	if e.Series["A-2"]["temperature"].Newest != (sample{at12 + 1000, 7.0}) {
		t.Errorf("got %+v", e.Series["A-2"]["temperature"])
	}
}

func TestDifferences(t *testing.T) {
	one := expect([]reading{line(1, at12, 20, 0), line(1, at12+1, 22, 0)})
	if got := one.differences(one); got != nil {
		t.Errorf("it differs from itself: %v", got)
	}
	for name, test := range map[string]struct {
		other []reading
		says  string
	}{
		"a value":  {[]reading{line(1, at12, 20.001, 0), line(1, at12+1, 22, 0)}, "A-1 temperature, hour 2016-03-15T12:00:00.000Z: 2 values, mean 21, but 2 values, mean 21.0005"},
		"a count":  {[]reading{line(1, at12, 20, 0)}, "A-1 door, hour 2016-03-15T12:00:00.000Z: 2 values, but 1 values"},
		"newest":   {[]reading{line(1, at12, 22, 0), line(1, at12+1, 20, 0)}, "newest {1458043200001 22}, but 2, newest {1458043200001 20}"},
		"a device": {[]reading{line(1, at12, 20, 0), line(1, at12+1, 22, 0), line(2, at12, 0, 0)}, "A-2 window: only one of them has it"},
		"a repeat": {[]reading{line(1, at12, 20, 0), line(1, at12+1, 22, 0), line(1, at12, 20, 0)}, "readings, stored, repeats, conflicts: [2 2 0 0], but [3 2 1 0]"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(one.differences(expect(test.other)), "\n")
			if !strings.Contains(got, test.says) {
				t.Errorf("got\n%s\nwant %q", got, test.says)
			}
		})
	}
}

// TestCheckAgrees holds the two programs together that compute the same thing
// on their own.
func TestCheckAgrees(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "location_A-measurement01.csv", someLines+strings.ReplaceAll(someLines, "20.48", "20.49"))
	write(t, dir, "location_B-measurement01.csv", someLines)
	out, err := exec.Command("python3", "check.py", filepath.Join(dir, "location_B-measurement01.csv"), filepath.Join(dir, "location_A-measurement01.csv")).Output()
	if err != nil {
		t.Fatalf("check.py: %v", err)
	}
	path := filepath.Join(dir, "expected.json")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if err := run(t.Context(), options{files: filepath.Join(dir, "*.csv"), expect: path}, &said); err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
	if want := "9 readings of 4 devices: 6 to store, 2 repeats, 1 conflicts expected"; !strings.HasPrefix(said.String(), want) {
		t.Errorf("got %q, want %q", said.String(), want)
	}
	write(t, dir, "location_B-measurement02.csv", strings.ReplaceAll(someLines, "14580", "14590"))
	if err := run(t.Context(), options{files: filepath.Join(dir, "*.csv"), expect: path}, &said); err == nil {
		t.Error("another file makes no difference")
	}
}
