package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// caseFile is a file of testdata/cases: worlds, which cases share by name, and
// cases.
type caseFile struct {
	Worlds map[string]caseWorld    `json:"worlds"`
	Cases  map[string]acceptedCase `json:"cases"`
	// Without says why there is nothing to run for a case: Holon does not have
	// what it is about, on purpose.
	Without map[string]string `json:"without"`
}

// caseWorld is what is there before a case begins, on top of another world.
type caseWorld struct {
	On    string     `json:"on"`
	Steps []caseStep `json:"steps"`
}

// acceptedCase says what is there, what is done, and what must come of it.
type acceptedCase struct {
	Title string `json:"title"`
	World string `json:"world"`
	// Differs says why Holon on purpose answers otherwise than the registries
	// that it replaces; the steps hold what Holon answers.
	Differs string     `json:"differs"`
	Given   []caseStep `json:"given"`
	Steps   []caseStep `json:"steps"`
	// Each is expected of every step besides its own expectation.
	Each *expectation `json:"each"`
}

// caseStep is one operation, by the name of its field in the schema, and what is
// expected of it.
type caseStep struct {
	expectation
	op   string
	args map[string]any
	// Of names the field of the root whose object has the operation as a field.
	Of map[string]map[string]any `json:"of"`
	// Select replaces what is asked for of the result.
	Select string `json:"select"`
	// As names the key that the operation is done with: any name, made when first
	// met. One that is "bound to" a device sends its readings only.
	As string `json:"as"`
	// In names another account that the operation is done in, made when first met.
	In string `json:"in"`
	// Until asks again until what is expected has come.
	Until bool `json:"until"`
	// Together are steps that are done at once, so many times.
	Together []caseStep `json:"together"`
	Times    int        `json:"times"`
	// Save keeps values of the result, by dotted paths, for later steps: $name.
	Save map[string]string `json:"save"`
	// Between keeps the moment halfway between two saved ones.
	Between map[string][2]string `json:"between"`
	// Pause waits, so that moments lie apart.
	Pause string `json:"pause"`
}

// UnmarshalJSON takes what is no word of an expectation for the operation.
func (s *caseStep) UnmarshalJSON(raw []byte) error {
	type words caseStep
	if err := json.Unmarshal(raw, (*words)(s)); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for name, value := range all {
		if slices.Contains(stepWords, name) {
			continue
		}
		if s.op != "" {
			return fmt.Errorf("a step has two operations, %s and %s", s.op, name)
		}
		s.op = name
		if err := json.Unmarshal(value, &s.args); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// loadCases reads all files of a directory.
func loadCases(t *testing.T, directory string) (worlds map[string]caseWorld, cases map[string]acceptedCase) {
	t.Helper()
	worlds, cases = map[string]caseWorld{}, map[string]acceptedCase{}
	files, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	without := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := yaml.YAMLToJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var read caseFile
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&read); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name, world := range read.Worlds {
			if _, twice := worlds[name]; twice {
				t.Fatalf("%s: the world %s is there twice", file, name)
			}
			worlds[name] = world
		}
		for id, one := range read.Cases {
			if _, twice := cases[id]; twice {
				t.Fatalf("%s: the case %s is there twice", file, id)
			}
			cases[id] = one
		}
		maps.Copy(without, read.Without)
	}
	for id, reason := range without {
		if _, both := cases[id]; both || reason == "" {
			t.Errorf("%s is without a reason, or is a case that runs", id)
		}
	}
	return worlds, cases
}

// TestCases runs the acceptance cases of the registry, each in an account of
// its own.
func TestCases(t *testing.T) { runCases(t, "testdata/cases") }

// TestTwinCases runs the acceptance cases of devices and assets that measure.
func TestTwinCases(t *testing.T) { runCases(t, "testdata/twincases") }

func runCases(t *testing.T, directory string) {
	t.Helper()
	t.Parallel()
	worlds, cases := loadCases(t, directory)
	for id, one := range cases {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			if one.Title == "" || len(one.Steps) == 0 {
				t.Fatal("a case has a title and steps")
			}
			client, account := newAccount(t)
			r := &caseRun{t: t, report: t, account: account, client: client, keys: map[string]apiClient{}, saved: map[string]any{}}
			r.build(worlds, one.World)
			r.setUp(one.Given)
			r.listen(one.Steps)
			for i, step := range one.Steps {
				r.run(fmt.Sprintf("step %d", i+1), step, one.Each)
			}
			if t.Failed() {
				t.Logf("%s: %s", id, one.Title)
				if one.Differs != "" {
					t.Logf("it differs on purpose: %s", one.Differs)
				}
			}
		})
	}
}

// caseRun is one case while it runs.
type caseRun struct {
	t *testing.T
	// report hears what is not as it must be.
	report  reporter
	account string
	client  apiClient
	making  sync.Mutex
	keys    map[string]apiClient
	saved   map[string]any
	earlier int // changes before the steps
	inbox   *inbox
	socket  *socket
}

// reporter is the part of a test that checks tell what is wrong.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

func (r *caseRun) build(worlds map[string]caseWorld, name string) {
	r.t.Helper()
	if name == "" {
		return
	}
	world, known := worlds[name]
	if !known {
		r.t.Fatalf("there is no world %q", name)
	}
	r.build(worlds, world.On)
	r.setUp(world.Steps)
}

// setUp runs steps that must succeed, all of them wholly.
func (r *caseRun) setUp(steps []caseStep) {
	r.t.Helper()
	for i, step := range steps {
		a := r.do(step)
		if a.code != "" {
			r.t.Fatalf("setting up, step %d, %s: %s %s", i+1, step.op, a.code, a.message)
		}
		if payload, is := a.result.(map[string]any); is && payload["failed"] != nil && payload["failed"] != 0.0 {
			r.t.Fatalf("setting up, step %d, %s: %v", i+1, step.op, payload["results"])
		}
	}
}

func (r *caseRun) run(name string, step caseStep, each *expectation) {
	r.t.Helper()
	if step.Pause != "" {
		wait, err := time.ParseDuration(step.Pause)
		if err != nil {
			r.t.Fatal(err)
		}
		time.Sleep(wait)
	}
	for to, moments := range step.Between {
		r.saved[to] = halfway(r.t, r.filledIn(moments[0]), r.filledIn(moments[1]))
	}
	if step.Together != nil {
		r.together(name, step)
	}
	if step.op != "" {
		name += ", " + step.op
		a := r.do(step)
		if step.Until {
			a = r.await(name, step, a)
		}
		if step.Code == "" && (each == nil || each.Code == "") && a.code != "" {
			r.t.Fatalf("%s: got %s %s %v", name, a.code, a.message, a.violations)
		}
		step.check(r, name, a)
		if each != nil {
			each.check(r, name+" (each)", a)
		}
		for to, from := range step.Save {
			value, found := lookUp(a.result, from)
			if !found {
				r.t.Fatalf("%s: no %s in %v", name, from, a.result)
			}
			r.saved[to] = value
		}
	}
	if step.Events != nil {
		checkEvents(r.t, name+", events", step.Events, r.changes()[r.earlier:])
	}
	if step.Messages != nil {
		r.inbox.check(r.t, name+", messages", step.Messages)
	}
}

// listen notes what was there before the steps, for those that look at what
// has happened.
func (r *caseRun) listen(steps []caseStep) {
	r.t.Helper()
	if slices.ContainsFunc(steps, func(s caseStep) bool { return s.Events != nil }) {
		r.earlier = len(r.changes())
	}
	if slices.ContainsFunc(steps, func(s caseStep) bool { return s.Messages != nil }) {
		r.inbox = openInbox(r.t, r.client, r.account)
	}
}

// changes are all changes of the account, oldest first.
func (r *caseRun) changes() []any {
	r.t.Helper()
	a := r.do(caseStep{op: "changes", args: map[string]any{"direction": "ASC", "first": 200.0}})
	if a.code != "" {
		r.t.Fatalf("changes: %s %s", a.code, a.message)
	}
	return rowsOf(a.result)
}

// with is the client of a step: of a named key, or of another account, which is
// made when it is first met.
func (r *caseRun) with(s caseStep) apiClient {
	r.t.Helper()
	name := s.In + " " + s.As
	if name == " " {
		return r.client
	}
	r.making.Lock()
	defer r.making.Unlock()
	if _, made := r.keys[name]; !made {
		account, devices := r.account, []string(nil)
		if s.In != "" {
			account += "-" + s.In
		}
		if device, bound := strings.CutPrefix(s.As, "bound to "); bound {
			devices = []string{device}
		}
		secret, _, err := createKey(r.t.Context(), holon.stores.graph, account, cmp.Or(s.As, "key"), devices)
		if err != nil {
			r.t.Fatal(err)
		}
		r.keys[name] = apiClient{url: holon.url, key: secret}
	}
	return r.keys[name]
}

var variable = regexp.MustCompile(`^\$[a-zA-Z0-9_]+$`)

// filledIn replaces $name by what was saved under the name.
func (r *caseRun) filledIn(value any) any {
	r.t.Helper()
	switch value := value.(type) {
	case string:
		if !variable.MatchString(value) {
			return value
		}
		saved, known := r.saved[strings.TrimPrefix(value, "$")]
		if !known {
			r.t.Fatalf("nothing was saved as %s", value)
		}
		return saved
	case []any:
		out := make([]any, len(value))
		for i, item := range value {
			out[i] = r.filledIn(item)
		}
		return out
	case map[string]any:
		if n, is := value["$repeat"].(float64); is {
			return repeated(int(n), value)
		}
		out := make(map[string]any, len(value))
		for name, item := range value {
			out[name] = r.filledIn(item)
		}
		return out
	}
	return value
}

// repeated makes a list of an item, or of its part `is`, each counted from 1 on.
func repeated(n int, item map[string]any) any {
	item = maps.Clone(item)
	delete(item, "$repeat")
	var one any = item
	if is, has := item["is"]; has {
		one = is
	}
	text, _ := json.Marshal(one) // it came from JSON
	out := make([]any, n)
	for i := range out {
		_ = json.Unmarshal(counted(string(text), i+1), &out[i])
	}
	return out
}

func halfway(t *testing.T, from, to any) string {
	t.Helper()
	a, errA := time.Parse(time.RFC3339Nano, fmt.Sprint(from))
	b, errB := time.Parse(time.RFC3339Nano, fmt.Sprint(to))
	if errA != nil || errB != nil || b.Sub(a) < 2*time.Millisecond {
		t.Fatalf("there is no moment between %v and %v", from, to)
	}
	return a.Add(b.Sub(a) / 2).Truncate(time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z")
}
