package alarm

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// Graph is where twins and alarms are.
type Graph interface {
	// Nodes and TemplatesByID return one slot an id, nil where there is none.
	Nodes(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Node, error)
	TemplatesByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Template, error)
	// AlarmsOf returns the alarms of twins that are active, one slot an id.
	AlarmsOf(ctx context.Context, scope registry.Scope, ids []registry.ID, active *bool) ([][]*registry.Alarm, error)
	// StepAlarms raises and clears alarms. Doing so again changes nothing.
	StepAlarms(ctx context.Context, scope registry.Scope, steps []registry.AlarmStep) error
}

// Live are the newest values and the presence of twins, one slot an id.
type Live interface {
	LiveOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]registry.LiveValue, error)
	PresenceOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Presence, error)
}

// Memories keeps what is known of the alarms of twins between two readings.
type Memories interface {
	// AlarmMemories returns what is kept, one slot an id, "" where nothing is.
	AlarmMemories(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]string, error)
	// KeepAlarmMemories replaces memories that nobody else has replaced since they
	// were read, and says which.
	KeepAlarmMemories(ctx context.Context, scope registry.Scope, memories []registry.AlarmMemory) ([]bool, error)
	// DueAlarms returns twins that are to be looked at without a reading, by account.
	DueAlarms(ctx context.Context, now time.Time) (map[registry.ID][]registry.ID, error)
	// Hold takes or prolongs the lease of some work in the background.
	Hold(ctx context.Context, work, holder string, lasts time.Duration) (bool, error)
}

// Engine decides on alarms. It is safe for concurrent use.
type Engine struct {
	graph    Graph
	live     Live
	memories Memories
	now      func() time.Time
	log      zerolog.Logger
	id       string

	mu sync.Mutex
	// quiet are twins whose template has no alarms, with when that was found.
	quiet map[registry.ID]time.Time
	// rules are those of templates, which never change once they are published.
	rules map[registry.ID][]condition
}

const (
	// quietFor is how long a twin without alarms is taken for one.
	quietFor = 10 * time.Second
	// maxQuiet and maxRules bound what an engine remembers.
	maxQuiet = 200_000
	maxRules = 10_000
	// maxConflicts is how often a twin that others decide on too is decided on anew.
	maxConflicts = 10
)

// NewEngine makes an engine. A nil clock is the system's.
func NewEngine(graph Graph, live Live, memories Memories, clock func() time.Time, log zerolog.Logger) *Engine {
	if clock == nil {
		clock = time.Now
	}
	return &Engine{graph: graph, live: live, memories: memories, now: clock, log: log, id: fmt.Sprintf("%p-%d", &log, time.Now().UnixNano()),
		quiet: map[registry.ID]time.Time{}, rules: map[registry.ID][]condition{}}
}

// Stored looks at twins that a stored batch had values of, and at devices that it
// only showed to be there. Doing so again changes nothing. It does nothing for
// accounts without alarms.
func (e *Engine) Stored(ctx context.Context, updates []registry.TwinUpdate) error {
	now := e.now()
	var wanted []registry.TwinUpdate
	e.mu.Lock()
	for _, u := range updates {
		if u.Alarming && (len(u.Steps) > 0 || len(u.Values) == 0) && now.Sub(e.quiet[u.TwinID]) > quietFor {
			wanted = append(wanted, u)
		}
	}
	e.mu.Unlock()
	return e.Look(ctx, wanted)
}

// Look looks at twins, with a reading or without: they came or fell silent, or
// time has passed. Each is decided on, so that none stays due.
func (e *Engine) Look(ctx context.Context, twins []registry.TwinUpdate) error {
	byAccount := map[registry.ID][]registry.TwinUpdate{}
	for _, u := range twins {
		byAccount[u.Account] = append(byAccount[u.Account], u)
	}
	for account, list := range byAccount {
		for part := range slices.Chunk(list, registry.MaxPage) {
			for try := 0; len(part) > 0; try++ {
				if try == maxConflicts {
					return registry.Unavailable("live-state store", fmt.Errorf("alarms of %d twins are decided on elsewhere all the time", len(part)))
				}
				var err error
				if part, err = e.decide(ctx, registry.Scope{Account: account}, part); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// decide decides on twins and returns those that somebody else decided on
// meanwhile.
func (e *Engine) decide(ctx context.Context, scope registry.Scope, updates []registry.TwinUpdate) ([]registry.TwinUpdate, error) {
	subjects, gone, err := e.subjects(ctx, scope, updates)
	if err != nil {
		return nil, err
	}
	var steps []registry.AlarmStep
	for _, s := range subjects {
		steps = append(steps, s.run(e.now().UnixMilli())...)
	}
	if len(steps) > 0 {
		if err := e.graph.StepAlarms(ctx, scope, steps); err != nil {
			return nil, err
		}
	}
	memories := make([]registry.AlarmMemory, 0, len(updates))
	for _, s := range subjects {
		memory, err := s.remembered()
		if err != nil {
			return nil, err
		}
		memories = append(memories, memory)
	}
	for _, id := range gone {
		memories = append(memories, registry.AlarmMemory{TwinID: id, Gone: true})
	}
	kept, err := e.memories.KeepAlarmMemories(ctx, scope, memories)
	if err != nil {
		return nil, err
	}
	e.remember(memories)
	var again []registry.TwinUpdate
	for i, s := range subjects {
		if !kept[i] {
			again = append(again, s.update)
		}
	}
	return again, nil
}

// subjects reads what there is to know of twins. Gone are those that are not there
// any more.
func (e *Engine) subjects(ctx context.Context, scope registry.Scope, updates []registry.TwinUpdate) (subjects []*subject, gone []registry.ID, err error) {
	ids := make([]registry.ID, len(updates))
	for i, u := range updates {
		ids[i] = u.TwinID
	}
	nodes, err := e.graph.Nodes(ctx, scope, ids)
	if err != nil {
		return nil, nil, err
	}
	templates := map[registry.ID]*registry.Template{}
	var wanted []registry.ID
	for _, node := range nodes {
		if twin, ok := node.(registry.Twin); ok && templates[twin.TwinTemplate()] == nil {
			templates[twin.TwinTemplate()] = &registry.Template{}
			wanted = append(wanted, twin.TwinTemplate())
		}
	}
	known, err := e.graph.TemplatesByID(ctx, scope, wanted)
	if err != nil {
		return nil, nil, err
	}
	for i, id := range wanted {
		templates[id] = known[i]
	}
	for i, node := range nodes {
		twin, ok := node.(registry.Twin)
		if !ok || templates[twin.TwinTemplate()] == nil {
			gone = append(gone, ids[i])
			continue
		}
		template := templates[twin.TwinTemplate()]
		subjects = append(subjects, &subject{
			update: updates[i], template: template, rules: e.rulesOf(template), newest: map[string]time.Time{},
			thing: rule.Thing{Of: twin.(registry.Related), Template: template.Name, Live: map[string]any{}},
		})
	}
	return subjects, gone, e.recall(ctx, scope, subjects)
}

// recall reads the newest values of subjects and what is known of their alarms.
func (e *Engine) recall(ctx context.Context, scope registry.Scope, subjects []*subject) error {
	if len(subjects) == 0 {
		return nil
	}
	ids := make([]registry.ID, len(subjects))
	connected := false
	for i, s := range subjects {
		ids[i] = s.update.TwinID
		connected = connected || asksConnected(s.rules)
	}
	raw, err := e.memories.AlarmMemories(ctx, scope, ids)
	if err != nil {
		return err
	}
	live, err := e.live.LiveOf(ctx, scope, ids)
	if err != nil {
		return err
	}
	presences := make([]registry.Presence, len(ids))
	if connected {
		if presences, err = e.live.PresenceOf(ctx, scope, ids); err != nil {
			return err
		}
	}
	var lost []*subject
	for i, s := range subjects {
		s.raw, s.thing.Connected = raw[i], presences[i].Connected
		for _, value := range live[i] {
			s.thing.Live[value.Measure] = registry.PlainValue(value.Value)
			s.newest[value.Measure] = value.MeasuredAt
		}
		if raw[i] == "" || json.Unmarshal([]byte(raw[i]), &s.memory) != nil {
			s.memory, s.lost = memory{}, true
			lost = append(lost, s)
		}
		if s.memory.Rules == nil {
			s.memory.Rules = map[string]*counter{}
		}
		if s.memory.Values == nil {
			s.memory.Values = map[string]any{}
		}
	}
	return e.rebuild(ctx, scope, lost)
}

// rebuild takes what was lost, or never was, from the alarms in the graph.
func (e *Engine) rebuild(ctx context.Context, scope registry.Scope, lost []*subject) error {
	if len(lost) == 0 {
		return nil
	}
	ids := make([]registry.ID, len(lost))
	for i, s := range lost {
		ids[i] = s.update.TwinID
	}
	active := true
	alarms, err := e.graph.AlarmsOf(ctx, scope, ids, &active)
	if err != nil {
		return err
	}
	for i, s := range lost {
		for _, a := range alarms[i] {
			s.memory.Rules[a.Rule] = &counter{Since: a.Since.UnixMilli(), Raised: true}
			s.memory.Last = max(s.memory.Last, a.LastAt.UnixMilli())
		}
	}
	return nil
}

func (e *Engine) rulesOf(t *registry.Template) []condition {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.rules[t.ID]
	if !ok {
		if len(e.rules) >= maxRules {
			clear(e.rules)
		}
		known = conditions(t)
		e.rules[t.ID] = known
	}
	return known
}

// remember notes twins of which nothing is to be kept: they are gone, or without
// alarms.
func (e *Engine) remember(memories []registry.AlarmMemory) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.quiet)+len(memories) > maxQuiet {
		clear(e.quiet)
	}
	now := e.now()
	for _, m := range memories {
		if m.Gone {
			e.quiet[m.TwinID] = now
		}
	}
}

const (
	lookEvery = 500 * time.Millisecond
	lookLease = 10 * time.Second
)

// Run looks at twins whose time has come, until the context ends. Any number of
// processes may: a lease sees to it that one works at a time.
func (e *Engine) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if err := e.turn(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn().Err(err).Msg("alarms that take time are left for later")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (e *Engine) turn(ctx context.Context) error {
	held, err := e.memories.Hold(ctx, "alarms", e.id, lookLease)
	if err != nil || !held {
		return err
	}
	due, err := e.memories.DueAlarms(ctx, e.now())
	if err != nil {
		return err
	}
	for account, ids := range due {
		slices.SortFunc(ids, func(a, b registry.ID) int { return cmp.Compare(a, b) })
		twins := make([]registry.TwinUpdate, len(ids))
		for i, id := range ids {
			twins[i] = registry.TwinUpdate{Account: account, TwinID: id}
		}
		if err := e.Look(ctx, twins); err != nil {
			return err
		}
	}
	return nil
}
