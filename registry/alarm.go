package registry

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// AlarmRule says when devices or assets of a template raise an alarm.
type AlarmRule struct {
	Name string `json:"name"`
	// When is a rule about the twin itself: its newest values, attributes, fields.
	When string `json:"when"`
	// Trigger is BECOMES_TRUE if empty.
	Trigger AlarmTrigger `json:"trigger,omitempty"`
	// ForSeconds is for PERSISTS, Count and WithinSeconds are for COUNT.
	ForSeconds    float64       `json:"forSeconds,omitempty"`
	Count         int           `json:"count,omitempty"`
	WithinSeconds float64       `json:"withinSeconds,omitempty"`
	Severity      AlarmSeverity `json:"severity"`
	Message       string        `json:"message,omitempty"`
	// Clear is a rule that ends the alarm; empty when When is true no more.
	Clear string `json:"clear,omitempty"`
}

// For is how long the condition has to hold; nil for other triggers.
func (r AlarmRule) For() *time.Duration { return seconds(r.ForSeconds) }

// Within is in which time the condition has to come to hold Count times; nil for
// other triggers.
func (r AlarmRule) Within() *time.Duration { return seconds(r.WithinSeconds) }

// AlarmTrigger says when a condition that holds raises an alarm.
type AlarmTrigger string

// The triggers.
const (
	TriggerEveryTime   AlarmTrigger = "EVERY_TIME"
	TriggerBecomesTrue AlarmTrigger = "BECOMES_TRUE"
	TriggerPersists    AlarmTrigger = "PERSISTS"
	TriggerCount       AlarmTrigger = "COUNT"
)

// MarshalGQL writes the trigger as a GraphQL enum value.
func (t AlarmTrigger) MarshalGQL(w io.Writer) { marshalEnum(w, string(t)) }

// UnmarshalGQL reads the trigger from a GraphQL enum value.
func (t *AlarmTrigger) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, t, TriggerEveryTime, TriggerBecomesTrue, TriggerPersists, TriggerCount)
}

// AlarmSeverity says how bad an alarm is.
type AlarmSeverity string

// The severities, the least first.
const (
	SeverityInfo     AlarmSeverity = "INFO"
	SeverityWarning  AlarmSeverity = "WARNING"
	SeverityMinor    AlarmSeverity = "MINOR"
	SeverityMajor    AlarmSeverity = "MAJOR"
	SeverityCritical AlarmSeverity = "CRITICAL"
)

var severities = []AlarmSeverity{SeverityInfo, SeverityWarning, SeverityMinor, SeverityMajor, SeverityCritical}

// MarshalGQL writes the severity as a GraphQL enum value.
func (s AlarmSeverity) MarshalGQL(w io.Writer) { marshalEnum(w, string(s)) }

// UnmarshalGQL reads the severity from a GraphQL enum value.
func (s *AlarmSeverity) UnmarshalGQL(v any) error { return unmarshalEnum(v, s, severities...) }

func (s AlarmSeverity) check(c *checker, path string) {
	if !slices.Contains(severities, s) {
		c.add(path, "enum", "is one of INFO, WARNING, MINOR, MAJOR and CRITICAL")
	}
}

// Alarm is one time that an alarm was raised, until it is cleared.
type Alarm struct {
	ID     ID
	TwinID ID
	// Reference is the twin's, Rule the name of the rule of its template.
	Reference string
	Rule      string
	Severity  AlarmSeverity
	Message   string
	// Version grows by one with every change.
	Version int
	// Since is when the condition came to hold, RaisedAt when the alarm was raised,
	// LastAt when it was raised last, Occurrences how often.
	Since, RaisedAt, LastAt time.Time
	Occurrences             int
	ClearedAt               *time.Time
	AcknowledgedAt          *time.Time
	AcknowledgedByID        ID
	AcknowledgedByName      string
	Comment                 *string
}

// IsNode marks an alarm as a GraphQL Node.
func (*Alarm) IsNode() {}

// NodeID is the alarm's id.
func (a *Alarm) NodeID() ID { return a.ID }

// Active says whether the alarm is not cleared.
func (a *Alarm) Active() bool { return a.ClearedAt == nil }

// AcknowledgedBy is who acknowledged the alarm, nil if nobody did.
func (a *Alarm) AcknowledgedBy() *Actor {
	if a.AcknowledgedAt == nil {
		return nil
	}
	return &Actor{ID: a.AcknowledgedByID, Name: a.AcknowledgedByName}
}

// AlarmStep is something that becomes of an alarm.
type AlarmStep struct {
	TwinID ID
	Rule   AlarmRule
	// Clear ends the alarm; else it is raised, or raised once more.
	Clear bool
	// Since is when the condition came to hold, At when this happened.
	Since, At time.Time
}

// AlarmMemory is what is known of the alarms of a twin between two readings, as
// text.
type AlarmMemory struct {
	TwinID ID
	// Before is what was read, After what replaces it. Gone removes it; Lost has
	// whoever comes next, or is at work on it now, take it from the graph.
	Before, After string
	Gone, Lost    bool
	// Due is when the twin is to be looked at without a reading, in milliseconds, 0
	// for never.
	Due int64
}

// AlarmFilter narrows a list of alarms. What is left zero narrows nothing.
type AlarmFilter struct {
	Active   *bool
	Severity *AlarmSeverity
	TwinID   ID
	// Under and Where are about the twins.
	Under, Where string
	// From is included, To is not; both are about when alarms were raised.
	From, To *time.Time
}

func (n NewTemplate) checkAlarms(c *checker) {
	if n.Kind == KindGroup && len(n.Alarms) > 0 {
		c.add("alarms", "kind", "only devices and assets raise alarms")
	}
	if len(n.Alarms) > MaxAlarms {
		c.add("alarms", "maxItems", "has at most %d", MaxAlarms)
	}
	for i, rule := range n.Alarms {
		path := fmt.Sprintf("alarms[%d]", i)
		if !templateName.MatchString(rule.Name) {
			c.add(path+".name", "name", "an alarm's name is 1 to 64 letters, digits, dashes and underscores and begins with a letter")
		}
		for _, other := range n.Alarms[:i] {
			if other.Name == rule.Name {
				c.add(path+".name", "unique", "there is another alarm %q", rule.Name)
			}
		}
		rule.checkTrigger(c, path)
	}
}

// MaxAlarms bounds the alarms of a template, maxCounted how often a condition is
// counted, maxAlarmTime for how long.
const (
	MaxAlarms    = 32
	maxCounted   = 1000
	maxAlarmTime = 366 * 24 * time.Hour
)

func (r AlarmRule) checkTrigger(c *checker, path string) {
	span := func(name string, of *time.Duration, needed bool) {
		switch {
		case needed && (of == nil || *of < time.Second || *of > maxAlarmTime):
			c.add(path+"."+name, "range", "is one second to 366 days")
		case !needed && of != nil:
			c.add(path+"."+name, "trigger", "goes with another trigger")
		}
	}
	span("for", r.For(), r.Trigger == TriggerPersists)
	span("within", r.Within(), r.Trigger == TriggerCount)
	switch {
	case r.Trigger == TriggerCount && (r.Count < 2 || r.Count > maxCounted):
		c.add(path+".count", "range", "is 2 to %d", maxCounted)
	case r.Trigger != TriggerCount && r.Count != 0:
		c.add(path+".count", "trigger", "goes with COUNT")
	}
	r.Severity.check(c, path+".severity")
	message := r.Message
	c.take(CheckDescription(&message))
}
