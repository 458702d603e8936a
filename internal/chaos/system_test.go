package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/internal/testkit"
)

// service is one process of Holon that can be ended and started again with the
// same addresses.
type service struct {
	*testkit.Program
	t       *testing.T
	name    string
	env     []string
	args    []string
	metrics string
}

func (s *service) start() {
	s.t.Helper()
	s.Program = testkit.Start(s.t, s.name, s.env, stage.holon, s.args...)
}

func (s *service) awaitReady() {
	s.t.Helper()
	s.AwaitOK(s.t, "http://"+s.metrics+"/readyz", time.Minute)
}

// system is Holon as it runs in production, with one account in it.
type system struct {
	t              *testing.T
	account, key   string
	url, mqtt      string
	serve, gateway *service
	workers        []*service
	// second is another serve, nil without one; its URL is the last of urls.
	second  *service
	urls    []string
	env     []string
	devices []string
	// linked maps a device to the asset that has its measures.
	linked map[string]string
	before counters
}

// options are what a test may want different.
type options struct {
	workers int
	// twoServe starts two processes that serve.
	twoServe bool
	// env is added to the environment of every process.
	env []string
	// queueMax is the bound of each part of the queue, 0 for the usual one.
	queueMax int
}

const (
	fleetSize  = 12
	linkedSize = 4
)

// startSystem starts serve, gateway and workers, and makes a small fleet.
func startSystem(t *testing.T, o options) *system {
	t.Helper()
	s := &system{t: t, account: "chaos-" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12], linked: map[string]string{}}
	s.env = append(stage.stores.Env(), o.env...)
	testkit.Run(t, s.env, stage.holon, "migrate")
	s.key = strings.TrimSpace(testkit.Run(t, s.env, stage.holon, "key", "create", "--account", s.account, "--name", "chaos", "-q"))

	addr, mqtt := testkit.FreeAddr(t), testkit.FreeAddr(t)
	s.url, s.mqtt = "http://"+addr, "mqtt://"+mqtt
	var bound []string
	if o.queueMax > 0 {
		bound = []string{"--queue-max-readings", strconv.Itoa(o.queueMax)}
	}
	s.serve = s.service("serve", append([]string{"serve", "--addr", addr}, bound...)...)
	s.urls = []string{s.url}
	if o.twoServe {
		other := testkit.FreeAddr(t)
		s.second = s.service("serve-2", append([]string{"serve", "--addr", other}, bound...)...)
		s.second.awaitReady()
		s.urls = append(s.urls, "http://"+other)
	}
	s.gateway = s.service("gateway", append([]string{"gateway", "--mqtt-addr", mqtt}, bound...)...)
	for range o.workers {
		s.addWorker()
	}
	s.serve.awaitReady()
	s.gateway.awaitReady()
	s.makeFleet()
	s.before = s.counters()
	return s
}

func (s *system) service(name string, args ...string) *service {
	s.t.Helper()
	metrics := testkit.FreeAddr(s.t)
	one := &service{t: s.t, name: name, env: s.env, args: append(args, "--metrics-addr", metrics), metrics: metrics}
	one.start()
	return one
}

// addWorker starts one more worker and waits until it runs.
func (s *system) addWorker() *service {
	s.t.Helper()
	w := s.service(fmt.Sprintf("ingest-%d", len(s.workers)+1), "ingest")
	s.workers = append(s.workers, w)
	w.awaitReady()
	return w
}

// makeFleet makes the devices, and assets that some of them are linked to.
func (s *system) makeFleet() {
	s.t.Helper()
	for i := range fleetSize {
		device := fmt.Sprintf("device-%02d", i)
		s.devices = append(s.devices, device)
		s.query(`mutation($r: String!) { createDevice(input: {reference: $r}) { device { id } } }`, map[string]any{"r": device}, nil)
		if i >= linkedSize {
			continue
		}
		asset := fmt.Sprintf("asset-%02d", i)
		s.linked[device] = asset
		s.query(`mutation($r: String!) { createAsset(input: {reference: $r}) { asset { id } } }`, map[string]any{"r": asset}, nil)
		s.query(`mutation($input: LinkDeviceInput!) { linkDevice(input: $input) { link { id } } }`, map[string]any{"input": map[string]any{
			"device": device, "asset": asset, "since": time.Now().UTC().Add(-time.Hour).Format(time.RFC3339),
			"measures": []map[string]any{{"device": "value", "asset": "assetValue"}, {"device": "note", "asset": "assetNote"}},
		}}, nil)
	}
}

type graphAnswer struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct{ Code string }
	}
}

// query runs a GraphQL operation, which must succeed: again while the graph is
// UNAVAILABLE, as a database is that has just begun and takes too long.
func (s *system) query(text string, variables map[string]any, into any) {
	s.t.Helper()
	answer := s.graphql(text, variables)
	for deadline := time.Now().Add(time.Minute); len(answer.Errors) > 0; answer = s.graphql(text, variables) {
		if answer.Errors[0].Extensions.Code != "UNAVAILABLE" || time.Now().After(deadline) {
			s.t.Fatalf("graphql: %+v\n%s", answer.Errors, text)
		}
		time.Sleep(retryPause)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		s.t.Fatalf("graphql: %v", err)
	}
}

func (s *system) graphql(text string, variables map[string]any) (answer graphAnswer) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+s.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatalf("graphql: %v", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		s.t.Fatalf("graphql: %s: %v", response.Status, err)
	}
	return answer
}

// queue is what serve's metrics say about the queue.
type queue struct{ waiting, accepted float64 }

// askQueue reads the metrics of serve. It fails if Redis or serve is down.
func (s *system) askQueue() (queue, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.serve.metrics+"/metrics", nil)
	if err != nil {
		return queue{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return queue{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return queue{}, fmt.Errorf("metrics: %s", response.Status)
	}
	return queueOf(response.Body)
}

func queueOf(metrics io.Reader) (queue, error) {
	var q queue
	up, partitions := false, 0
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a comment
		}
		switch {
		case name == "holon_queue_up":
			up = value == 1
		case strings.HasPrefix(name, "holon_queue_readings{"):
			q.waiting += value
			partitions++
		case strings.HasPrefix(name, "holon_queue_accepted_total{"):
			q.accepted += value
		}
	}
	if !up || partitions == 0 {
		return q, fmt.Errorf("the queue does not answer (%d partitions seen)", partitions)
	}
	return q, lines.Err()
}

// awaitQueue waits until the queue is as wanted and returns what it was then.
func (s *system) awaitQueue(what string, limit time.Duration, wanted func(queue) bool) queue {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		q, err := s.askQueue()
		if err == nil && wanted(q) {
			return q
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %s until %s; the queue: %+v, %v", limit, what, q, err)
		}
		time.Sleep(15 * time.Millisecond)
	}
}

func (s *system) awaitEmpty() queue {
	s.t.Helper()
	return s.awaitQueue("the queue is empty", 90*time.Second, func(q queue) bool { return q.waiting == 0 })
}
