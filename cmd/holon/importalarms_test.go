package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// TestImportedAlarmIsCleared imports an active alarm of a device that has sent
// before, so that nothing is remembered of one: the next reading clears it all the
// same. What the file says was measured decides on no alarm.
func TestImportedAlarmIsCleared(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	alarmFleet(t, c)
	device := ask[struct{ Device struct{ ID registry.ID } }](t, c, `{ device(reference: "probe-1") { id } }`, nil).Device.ID
	owner, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)
	at := 0
	waitFor(t, "what is remembered of alarms", func() bool {
		at++
		sendProbe(t, c, began, at, "t", 26)
		known, err := holon.stores.twin.AlarmMemories(t.Context(), registry.Scope{Account: owner.ID}, []registry.ID{device})
		return err == nil && known[0] != ""
	})
	lines := []string{
		`{"record":"header","format":"holon","version":1}`,
		fmt.Sprintf(`{"record":"alarm","device":"probe-1","rule":"hot","severity":"MAJOR","message":"too hot","since":%q}`, began.Add(-time.Hour).Format(time.RFC3339Nano)),
		fmt.Sprintf(`{"record":"measurements","device":"probe-1","measure":"t","at":[%d],"values":[99]}`, began.Add(30*time.Minute).UnixMilli()),
		`{"record":"end","lines":4}`,
	}
	file := filepath.Join(t.TempDir(), "acme.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() {
		t.Helper()
		command := importCmd{Files: []string{file}, Quiet: true}
		command.accountSettings, command.redisSettings = testStores(account)
		if err := command.Run(t.Context(), zerolog.Nop()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	awaitAlarms(t, c, "hot")
	run()
	awaitAlarms(t, c, "hot")
	// The room would be stuffy above 28.
	sendProbe(t, c, began, 2000, "t", 24, 2001, "door", "open")
	awaitAlarms(t, c, "-hot open")
}
