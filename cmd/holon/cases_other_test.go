package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// otherOperations are those of the cases that are no fields of the schema. It is
// filled in below, since some of them run steps themselves.
var otherOperations map[string]func(*caseRun, caseStep) answer

func init() {
	otherOperations = map[string]func(*caseRun, caseStep) answer{
		"send": (*caseRun).post, "post": (*caseRun).post, "publish": (*caseRun).publish,
		"download": (*caseRun).download, "follow": (*caseRun).follow, "told": (*caseRun).told,
	}
}

// failures keeps what is wrong, in case that it is right the next time.
type failures struct{ list []string }

// Helper implements reporter.
func (*failures) Helper() {}

// Errorf implements reporter.
func (f *failures) Errorf(format string, args ...any) {
	f.list = append(f.list, fmt.Sprintf(format, args...))
}

// TestAbsent does not take a path that leads nowhere for nothing.
func TestAbsent(t *testing.T) {
	t.Parallel()
	result := map[string]any{"device": map[string]any{"attributes": map[string]any{"label": "x"}, "parts": []any{}}, "none": nil}
	for path, right := range map[string]bool{
		"device.attributes.colour": true, "none": true, "device.parts.0": true, "device.parts": true,
		"device.attributes.label": false, "device.atributes.colour": false, "asset.attributes.colour": false, "none.colour": false,
	} {
		if problem := absent(result, path); (problem == "") != right {
			t.Errorf("%s: %q", path, problem)
		}
	}
	if absent(nil, "colour") == "" {
		t.Error("nothing has no colour")
	}
}

// await asks again until what a step expects has come.
func (r *caseRun) await(name string, step caseStep, a answer) answer {
	r.t.Helper()
	defer func() { r.report = r.t }()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var wrong failures
		r.report = &wrong
		if step.check(r, name, a); len(wrong.list) == 0 {
			return a
		}
		a = r.do(step)
	}
	return a
}

// together does steps at once, each so many times in a row. What they expect is
// expected every time.
func (r *caseRun) together(name string, step caseStep) {
	r.t.Helper()
	var group sync.WaitGroup
	answers := make([][]answer, len(step.Together))
	for i, one := range step.Together {
		times := max(step.Times, one.Times, 1)
		answers[i] = make([]answer, times)
		for n := range times {
			group.Go(func() { answers[i][n] = r.do(one.numbered(n)) })
		}
	}
	group.Wait()
	for i, one := range step.Together {
		for n, a := range answers[i] {
			at := fmt.Sprintf("%s, together %d.%d, %s", name, i+1, n+1, one.op)
			if one.Code == "" && a.code != "" {
				r.t.Errorf("%s: got %s %s %v", at, a.code, a.message, a.violations)
			}
			one.check(r, at, a)
		}
	}
}

// numbered is a step with {#} replaced by a number, and {##} by the same in two
// digits.
func (s caseStep) numbered(n int) caseStep {
	text, _ := json.Marshal(s.args) // it came from JSON
	s.args = nil
	_ = json.Unmarshal(bare(strings.NewReplacer("{#}", strconv.Itoa(n), "{##}", fmt.Sprintf("%02d", n)).Replace(string(text))), &s.args)
	return s
}

var (
	padded  = regexp.MustCompile(`\{0+\}`)
	numeral = regexp.MustCompile(`"=(-?[0-9.]+)"`)
)

// counted is JSON with {} replaced by a number, and {000} by the same with zeros
// before it.
func counted(text string, n int) []byte {
	return bare(padded.ReplaceAllStringFunc(strings.ReplaceAll(text, "{}", strconv.Itoa(n)), func(zeros string) string {
		return fmt.Sprintf("%0*d", len(zeros)-2, n)
	}))
}

// bare makes of texts such as "=17" numbers.
func bare(text string) []byte { return numeral.ReplaceAll([]byte(text), []byte("$1")) }

// post sends something over HTTP: readings, and waits until they are stored, or
// whatever else to a path.
func (r *caseRun) post(s caseStep) answer {
	r.t.Helper()
	args := r.filledIn(s.args).(map[string]any)
	path, query, body := "/v1/readings", url.Values{"ack": {"stored"}}, args["readings"]
	if other, given := args["path"].(string); given {
		path, body = other, args["body"]
	}
	for name, value := range mapOf(args["with"]) {
		query.Set(name, fmt.Sprint(value))
	}
	raw, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	kind := "application/json"
	if text, is := body.(string); is {
		raw, kind = []byte(text), "text/plain"
	}
	if given, is := args["type"].(string); is {
		kind = given
	}
	status, _, text := r.http(s, http.MethodPost, path+"?"+query.Encode(), kind, raw)
	var got struct {
		Code, Message string
		Errors        []struct {
			Index         int
			Path, Message string
		}
	}
	var whole map[string]any
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		r.t.Errorf("%s: %d, no JSON: %s", s.op, status, text)
	}
	_ = json.Unmarshal([]byte(text), &got) // it is JSON
	if whole["stored"] == false {          // it is slow today
		whole["stored"] = r.settled()
	}
	a := answer{code: got.Code, message: got.Message, result: whole}
	for _, e := range got.Errors {
		a.violations = append(a.violations, map[string]any{"path": strings.TrimSuffix(fmt.Sprintf("[%d].%s", e.Index, e.Path), "."), "message": e.Message})
		a.message += "; " + e.Message
	}
	return a
}

// settled waits until all that is in the queue is stored.
func (r *caseRun) settled() bool {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	partitions := make([]int, holon.stores.queue.Partitions())
	for i := range partitions {
		partitions[i] = i
	}
	stored, err := holon.stores.queue.Settled(ctx, partitions)
	if err != nil {
		r.t.Error(err)
	}
	return stored
}

func mapOf(value any) map[string]any {
	object, _ := value.(map[string]any)
	return object
}

// http does one request and returns what came.
func (r *caseRun) http(s caseStep, method, path, kind string, body []byte) (status int, header http.Header, text string) {
	r.t.Helper()
	c := r.with(s)
	request, err := http.NewRequestWithContext(r.t.Context(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(raw)
}

// download gets a file: its rows are objects by the names of the columns.
func (r *caseRun) download(s caseStep) answer {
	r.t.Helper()
	args, query := r.filledIn(s.args).(map[string]any), url.Values{}
	for name, value := range args {
		list, is := value.([]any)
		if !is {
			list = []any{value}
		}
		for _, one := range list {
			if name != "path" {
				query.Add(name, fmt.Sprint(one))
			}
		}
	}
	status, header, text := r.http(s, http.MethodGet, fmt.Sprint(args["path"])+"?"+query.Encode(), "", nil)
	if status != http.StatusOK {
		var refused struct{ Code, Message string }
		if err := json.Unmarshal([]byte(text), &refused); err != nil {
			r.t.Errorf("download: %d, no JSON: %s", status, text)
		}
		return answer{code: refused.Code, message: refused.Message}
	}
	result := map[string]any{"lines": float64(strings.Count(text, "\n")), "type": header.Get("Content-Type")}
	var rows []any
	if strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
		table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			r.t.Fatal(err)
		}
		result["header"] = strings.Join(table[0], ",")
		for _, line := range table[1:] {
			row := map[string]any{}
			for i, cell := range line {
				row[table[0][i]] = cell
			}
			rows = append(rows, row)
		}
	} else {
		for line := range strings.Lines(text) {
			var row any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				r.t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	result["nodes"] = rows
	return answer{result: result}
}

// publish sends a message to Holon's own MQTT listener, below the account.
func (r *caseRun) publish(s caseStep) answer {
	r.t.Helper()
	args := r.filledIn(s.args).(map[string]any)
	payload, err := json.Marshal(args["payload"])
	if err != nil {
		r.t.Fatal(err)
	}
	server, err := url.Parse(holon.mqtt)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	connection, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 20, ConnectUsername: r.account, ConnectPassword: []byte(r.with(s).key),
		ClientConfig: paho.ClientConfig{ClientID: "publisher-" + r.account},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = connection.Disconnect(ctx) }()
	if err := connection.AwaitConnection(ctx); err != nil {
		r.t.Fatal(err)
	}
	message := &paho.Publish{Topic: "holon/" + r.account + "/" + fmt.Sprint(args["topic"]), QoS: 1, Payload: payload}
	if args["qos"] == 0.0 { // nobody is told what is wrong with it
		message.QoS = 0
	}
	if _, err := connection.Publish(ctx, message); err != nil {
		return answer{code: "REFUSED", message: err.Error()}
	}
	return answer{}
}

// follow subscribes to what becomes of twins; told is what came next.
func (r *caseRun) follow(s caseStep) answer {
	r.t.Helper()
	r.socket = follow(r.t, r.with(s), `subscription($ids: [ID!], $under: String, $where: String) {
		twinChanged(ids: $ids, under: $under, where: $where, kinds: [VALUES]) { match values { measure value } twin { ... on Device { key: reference } ... on Asset { key: reference } } }
	}`, r.filledIn(s.args).(map[string]any))
	time.Sleep(200 * time.Millisecond) // it is following
	return answer{}
}

func (r *caseRun) told(caseStep) answer {
	r.t.Helper()
	m := r.socket.read()
	var got struct{ Data map[string]any }
	if err := json.Unmarshal(m.Payload, &got); err != nil || m.Type != "next" {
		r.t.Fatalf("got %s %s, want a change (%v)", m.Type, m.Payload, err)
	}
	return answer{result: plain(got.Data["twinChanged"])}
}
