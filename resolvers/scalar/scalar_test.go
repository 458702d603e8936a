package scalar_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/resolvers/scalar"
)

// What is written can be read, and is the same length.
func TestDurationsAreReadAsTheyAreWritten(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "PT0S", 1500 * time.Millisecond: "PT1.5S", 36 * time.Hour: "P1DT12H", 7 * day: "P7D", 31 * day: "P31D", 365 * day: "P365D", 3650*day + time.Minute: "P3650DT1M",
	} {
		var text strings.Builder
		scalar.MarshalDuration(d).MarshalGQL(&text)
		written := strings.Trim(text.String(), `"`)
		if written != want {
			t.Errorf("%v is written %s, want %s", d, written, want)
		}
		if got, err := scalar.UnmarshalDuration(written); err != nil || got != d {
			t.Errorf("%s is read as %v, %v", written, got, err)
		}
	}
}
