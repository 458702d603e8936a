package resolvers

import (
	"context"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

// TestFollowThrottled tells what is due, and gives cursors that skip nothing of
// what is not.
func TestFollowThrottled(t *testing.T) {
	t.Parallel()
	f := &twinFollower{
		every: time.Hour, told: map[registry.ID]bool{}, pending: map[registry.ID]*pendingChange{},
		sent: map[registry.ID]time.Time{"often": time.Now(), "seldom": time.Now().Add(-2 * time.Hour)},
	}
	at := time.Now()
	for i, id := range []registry.ID{"other", "often", "seldom", "often"} {
		before := f.mark
		f.mark.feed = string(rune('a' + i))
		f.note(id, before, at.Add(time.Duration(i)), registry.TwinPresence, nil, false)
	}
	var got []*registry.TwinChange
	if _, err := f.flush(context.Background(), func(c *registry.TwinChange) bool { got = append(got, c); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].TwinID != "other" || got[1].TwinID != "seldom" {
		t.Fatalf("told %+v", got)
	}
	for _, c := range got {
		if m, err := parseMark(c.Cursor); err != nil || m.feed != "a" {
			t.Errorf("the cursor of %s is %+v, want the one before the first change of often", c.TwinID, m)
		}
	}
	if f.wait() < 59*time.Minute {
		t.Errorf("looks again in %s", f.wait())
	}
	f.sent["often"] = time.Now().Add(-time.Hour)
	if _, err := f.flush(context.Background(), func(c *registry.TwinChange) bool { got = append(got, c); return true }); err != nil {
		t.Fatal(err)
	}
	last := got[len(got)-1]
	if m, _ := parseMark(last.Cursor); last.TwinID != "often" || !last.At.Equal(at.Add(3)) || m.feed != "d" {
		t.Errorf("told last: %+v", last)
	}
}
