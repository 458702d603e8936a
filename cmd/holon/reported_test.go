package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestReportedNumbers keeps whole numbers that a device says of itself as they
// are, or refuses them: none is rounded.
func TestReportedNumbers(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "tag", publish: true, provisioning: OPEN, reported: ["serial", "level"],
			properties: {serial: {type: "integer"}, level: {type: "number"}}}) { template { id } }
	}`, nil)
	serial := func() string {
		t.Helper()
		return string(ask[struct {
			Device struct{ Attributes map[string]json.RawMessage }
		}](t, c, `{ device(reference: "tag-1") { attributes } }`, nil).Device.Attributes["serial"])
	}
	for _, number := range []string{"9007199254740993", "9223372036854775807", "-9223372036854775808"} {
		if status, answer := sendRaw(t, c, "/v1/readings", "application/json", fmt.Sprintf(`{"device": "tag-1", "template": "tag", "attributes": {"serial": %s}}`, number)); status != http.StatusAccepted {
			t.Errorf("%s: %d %v", number, status, answer)
		}
		if got := serial(); got != number {
			t.Errorf("the serial number is %s, want %s", got, number)
		}
	}
	for number, name := range map[string]string{"9223372036854775808": "serial", "99999999999999999999": "serial", "9007199254740993000001": "level", "1e999": "level", "1.5": "serial"} {
		status, answer := sendRaw(t, c, "/v1/readings", "application/json", fmt.Sprintf(`{"device": "tag-1", "attributes": {%q: %s}}`, name, number))
		if status != http.StatusBadRequest || !strings.Contains(fmt.Sprint(answer), "path:attributes."+name) {
			t.Errorf("%s: %d %v", number, status, answer)
		}
	}
	if got := serial(); got != "-9223372036854775808" {
		t.Errorf("what was refused came to be: %s", got)
	}
}
