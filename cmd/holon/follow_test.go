package main

import (
	"encoding/json"
	"net"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// told is a change as the tests below ask for it.
type told struct {
	Cursor string
	Twin   *struct{ Reference string }
	TwinID string
	Kinds  []string
	Match  *string
	Values []struct {
		Measure string
		Value   any
	}
}

func (c told) reference() string {
	if c.Twin == nil {
		return ""
	}
	return c.Twin.Reference
}

func (c told) match() string {
	if c.Match == nil {
		return ""
	}
	return *c.Match
}

const toldQuery = `subscription($ids: [ID!], $under: String, $where: String, $kinds: [TwinChangeKind!], $every: Duration, $after: String) {
	twinChanged(ids: $ids, under: $under, where: $where, kinds: $kinds, every: $every, after: $after) {
		cursor twinId kinds match twin { reference } values { measure value }
	}
}`

// tell returns the next change.
func (s *socket) tell() told {
	s.t.Helper()
	m := s.read()
	var payload struct {
		Data   struct{ TwinChanged told }
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(m.Payload, &payload); err != nil || m.Type != "next" || len(payload.Errors) > 0 {
		s.t.Fatalf("got %s %s, want a change (%v)", m.Type, m.Payload, err)
	}
	return payload.Data.TwinChanged
}

// expect reads changes until one is of a twin and a match. Nothing that is not
// meant may come before.
func (s *socket) expect(match, reference string) told {
	s.t.Helper()
	c := s.tell()
	if c.match() != match || c.reference() != reference {
		s.t.Fatalf("got %q of %q (%v), want %q of %q", c.match(), c.reference(), c.Kinds, match, reference)
	}
	return c
}

// rooms makes two sites with a sensor each and one that is nowhere.
func rooms(t *testing.T, c apiClient) {
	t.Helper()
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "sensor", publish: true, properties: {limit: {type: "number"}},
			measures: [{name: "temperature", type: "number"}], relations: [{name: "located_at"}]}) { template { id } }
		a: createGroup(input: {name: "north"}) { group { id } }
		b: createGroup(input: {name: "south"}) { group { id } }
		c: createGroup(input: {parent: "/north", name: "hall"}) { group { id } }
		createDevices(input: {devices: [
			{reference: "hall-1", template: "sensor", relations: [{name: "located_at", groups: ["/north/hall"]}]},
			{reference: "south-1", template: "sensor", relations: [{name: "located_at", groups: ["/south"]}]},
			{reference: "loose-1", template: "sensor"}]}) { succeeded }
	}`, nil)
}

// stored waits until the newest temperature of a device is a value.
func stored(t *testing.T, c apiClient, device string, value float64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := ask[struct {
			Device struct{ Live []struct{ Value any } }
		}](t, c, `query($r: String!) { device(reference: $r) { live { value } } }`, map[string]any{"r": device})
		if len(got.Device.Live) == 1 && got.Device.Live[0].Value == value {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v, want %v", device, got.Device.Live, value)
		}
	}
}

// TestFollowRule follows twins that match a rule over what they measure: they
// enter, stay and leave by values, attributes, deletion.
func TestFollowRule(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	rooms(t, c)
	sendTemperature(t, c, "hall-1", 31)
	stored(t, c, "hall-1", 31)

	s := follow(t, c, toldQuery, map[string]any{"where": "measures.temperature > 30 and template == 'sensor' or attributes.limit == 7"})
	s.expect("ENTERED", "hall-1")
	sendTemperature(t, c, "south-1", 12) // does not match, and did not: nothing is told
	stored(t, c, "south-1", 12)
	sendTemperature(t, c, "hall-1", 32)
	if c := s.expect("STAYED", "hall-1"); len(c.Values) != 1 || c.Values[0].Value != 32.0 || len(c.Kinds) != 1 || c.Kinds[0] != "VALUES" {
		t.Errorf("stayed with %+v", c)
	}
	sendTemperature(t, c, "hall-1", 20)
	s.expect("LEFT", "hall-1")
	sendTemperature(t, c, "south-1", 35)
	s.expect("ENTERED", "south-1")
	ask[any](t, c, `mutation { updateDevice(input: {reference: "loose-1", attributes: {limit: 7}}) { device { id } } }`, nil)
	if c := s.expect("ENTERED", "loose-1"); len(c.Kinds) != 1 || c.Kinds[0] != "STATE" {
		t.Errorf("entered with %+v", c)
	}
	ask[any](t, c, `mutation { updateDevice(input: {reference: "loose-1", attributes: {limit: 8}}) { device { id } } }`, nil)
	s.expect("LEFT", "loose-1")
	ask[any](t, c, `mutation { deleteDevice(input: {reference: "south-1"}) { deletedId } }`, nil)
	s.expect("LEFT", "")
}

// TestFollowPlace follows a sub-tree: twins enter and leave by relations, and by
// moves of groups above them; a rule over groups sees that too.
func TestFollowPlace(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	rooms(t, c)
	place := follow(t, c, toldQuery, map[string]any{"under": "/north"})
	ruled := follow(t, c, toldQuery, map[string]any{"where": "any(groups, .path startsWith '/north')"})
	ruled.expect("ENTERED", "hall-1")
	sendTemperature(t, c, "hall-1", 1) // once it is told, place is following too
	place.expect("STAYED", "hall-1")
	ruled.expect("STAYED", "hall-1")

	ask[any](t, c, `mutation { relate(input: {from: {device: "loose-1"}, relation: "located_at", to: {group: "/north"}}) { to { ... on Group { id } } } }`, nil)
	place.expect("ENTERED", "loose-1")
	ruled.expect("ENTERED", "loose-1")
	ask[any](t, c, `mutation { unrelate(input: {from: {device: "loose-1"}, relation: "located_at", to: {group: "/north"}}) { to { ... on Group { id } } } }`, nil)
	place.expect("LEFT", "loose-1")
	ruled.expect("LEFT", "loose-1")
	ask[any](t, c, `mutation { moveGroup(input: {path: "/north/hall", parent: "/south"}) { moved } }`, nil)
	place.expect("LEFT", "hall-1")
	ruled.expect("LEFT", "hall-1")
	// The sub-tree is that of the group, whatever its path.
	ask[any](t, c, `mutation { moveGroup(input: {path: "/north", name: "polar"}) { moved } }`, nil)
	ask[any](t, c, `mutation { moveGroup(input: {path: "/south/hall", parent: "/polar"}) { moved } }`, nil)
	place.expect("ENTERED", "hall-1")
}

// TestFollowEvery tells the last change of a twin in any case, however often it
// may be told.
func TestFollowEvery(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	rooms(t, c)
	s := follow(t, c, toldQuery, map[string]any{"every": "PT1S", "kinds": []string{"VALUES"}})
	time.Sleep(200 * time.Millisecond) // it is following
	for value := 1.0; value <= 5; value++ {
		sendTemperature(t, c, "hall-1", value)
		stored(t, c, "hall-1", value)
	}
	for {
		if got := s.expect("", "hall-1"); got.Values[0].Value == 5.0 {
			return
		}
	}
}

// TestFollowAfterRestart goes on at another server after a cursor: whoever
// applies what enters and leaves ends with what matches.
func TestFollowAfterRestart(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	rooms(t, c)
	for _, device := range []string{"hall-1", "south-1", "loose-1"} {
		sendTemperature(t, c, device, 31)
		stored(t, c, device, 31)
	}
	where := map[string]any{"where": "measures.temperature > 30"}
	s := follow(t, c, toldQuery, where)
	believed := map[string]bool{}
	ids := map[string]string{}
	apply := func(got told) {
		if got.match() == "LEFT" {
			delete(believed, got.TwinID)
		} else {
			believed[got.TwinID] = true
		}
		if got.Twin != nil {
			ids[got.Twin.Reference] = got.TwinID
		}
	}
	var last told
	for range 3 {
		last = s.tell()
		apply(last)
	}
	s.conn.CloseNow()
	sendTemperature(t, c, "hall-1", 3)
	stored(t, c, "hall-1", 3)
	ask[any](t, c, `mutation { deleteDevice(input: {reference: "loose-1"}) { deletedId } createDevice(input: {reference: "new-1"}) { device { id } } }`, nil)
	sendTemperature(t, c, "new-1", 40)
	stored(t, c, "new-1", 40)

	resumed := follow(t, apiClient{url: anotherServer(t), key: c.key}, toldQuery, map[string]any{"where": where["where"], "after": last.Cursor})
	for len(believed) != 2 || believed[ids["hall-1"]] || believed[ids["loose-1"]] || ids["new-1"] == "" {
		apply(resumed.tell())
	}
	if !believed[ids["south-1"]] || !believed[ids["new-1"]] {
		t.Errorf("the client believes %v", believed)
	}
}

// anotherServer starts the API once more, with connections of its own, as it is
// after a restart.
func anotherServer(t *testing.T) string {
	t.Helper()
	g := graphSettings{URI: os.Getenv("NEO4J_URI"), Username: os.Getenv("NEO4J_USERNAME"), Password: os.Getenv("NEO4J_PASSWORD"), Timeout: time.Minute}
	s, err := openStores(t.Context(), zerolog.Nop(), g, redisSettings{URL: os.Getenv("REDIS_URL"), MaxReadings: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serveAPI(t.Context(), l, serverSettings{Introspection: true}) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Errorf("the other server: %v", err)
		}
		s.close()
	})
	return "http://" + l.Addr().String()
}
