package registry

import "time"

// AlarmRecord is one time that a device or an asset raised an alarm. Its twin,
// its rule and since when the condition held tell it from others.
type AlarmRecord struct {
	Device   string        `json:"device,omitempty"`
	Asset    string        `json:"asset,omitempty"`
	Rule     string        `json:"rule"`
	Severity AlarmSeverity `json:"severity"`
	Message  string        `json:"message,omitempty"`
	Since    time.Time     `json:"since"`
	// RaisedAt and LastAt are as Since if they are zero, Occurrences is 1 if it is.
	RaisedAt       time.Time    `json:"raisedAt,omitzero"`
	LastAt         time.Time    `json:"lastAt,omitzero"`
	Occurrences    int          `json:"occurrences,omitempty"`
	ClearedAt      *time.Time   `json:"clearedAt,omitempty"`
	AcknowledgedAt *time.Time   `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy *ActorRecord `json:"acknowledgedBy,omitempty"`
	Comment        *string      `json:"comment,omitempty"`
	ID             ID           `json:"id,omitempty"`
	Version        int          `json:"version,omitempty"`
	// Order is what the store orders alarms by.
	Order string `json:"-"`
}

// ActorRecord is somebody who did something.
type ActorRecord struct {
	ID   ID     `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// RecordKind is alarm.
func (*AlarmRecord) RecordKind() RecordKind { return RecordAlarm }

// RecordKey is the twin's reference and the name of the rule.
func (r *AlarmRecord) RecordKey() string { return r.Ref().Key + "/" + r.Rule }

// RecordID is the alarm's.
func (r *AlarmRecord) RecordID() ID { return r.ID }

// Ref is the twin.
func (r *AlarmRecord) Ref() Ref {
	if r.Asset != "" {
		return Ref{Kind: KindAsset, Key: r.Asset}
	}
	return Ref{Kind: KindDevice, Key: r.Device}
}

// NewAlarmRecord is the record of an alarm of a device or an asset.
func NewAlarmRecord(a *Alarm, of Ref) *AlarmRecord {
	r := &AlarmRecord{
		Rule: a.Rule, Severity: a.Severity, Message: a.Message, Since: a.Since, RaisedAt: a.RaisedAt, LastAt: a.LastAt, Occurrences: a.Occurrences,
		ClearedAt: a.ClearedAt, AcknowledgedAt: a.AcknowledgedAt, Comment: a.Comment, ID: a.ID, Version: a.Version, Order: string(a.ID),
	}
	if of.Kind == KindAsset {
		r.Asset = of.Key
	} else {
		r.Device = of.Key
	}
	if a.AcknowledgedByID != "" || a.AcknowledgedByName != "" {
		r.AcknowledgedBy = &ActorRecord{ID: a.AcknowledgedByID, Name: a.AcknowledgedByName}
	}
	return r
}

// Alarm is the alarm that the record is of, in milliseconds; its twin, id and
// version are the store's business.
func (r *AlarmRecord) Alarm() *Alarm {
	a := &Alarm{
		Rule: r.Rule, Severity: r.Severity, Message: r.Message, Version: 1, Since: inMillis(r.Since), RaisedAt: inMillis(r.RaisedAt), LastAt: inMillis(r.LastAt),
		Occurrences: max(r.Occurrences, 1), ClearedAt: optionalInMillis(r.ClearedAt), AcknowledgedAt: optionalInMillis(r.AcknowledgedAt), Comment: r.Comment,
	}
	if r.RaisedAt.IsZero() {
		a.RaisedAt = a.Since
	}
	if r.LastAt.IsZero() {
		a.LastAt = a.Since
	}
	if r.AcknowledgedBy != nil {
		a.AcknowledgedByID, a.AcknowledgedByName = r.AcknowledgedBy.ID, r.AcknowledgedBy.Name
	}
	return a
}

// Check tells what is wrong with the record by itself.
func (r *AlarmRecord) Check() []Violation {
	c := &checker{}
	if (r.Device == "") == (r.Asset == "") {
		c.add("device", "exclusive", "name a device or an asset")
	}
	if !templateName.MatchString(r.Rule) {
		c.add("rule", "name", "an alarm's name is 1 to 64 letters, digits, dashes and underscores and begins with a letter")
	}
	r.Severity.check(c, "severity")
	if r.Since.Before(earliestMeasurement) {
		c.add("since", "range", "lies in the year 2000 or later")
	}
	a := r.Alarm()
	if a.LastAt.Before(a.Since) {
		c.add("lastAt", "range", "lies not before since")
	}
	if r.Occurrences < 0 {
		c.add("occurrences", "range", "is at least 1")
	}
	if a.ClearedAt != nil && a.ClearedAt.Before(a.RaisedAt) {
		c.add("clearedAt", "range", "lies not before raisedAt")
	}
	if a.AcknowledgedAt != nil && a.AcknowledgedAt.Before(a.RaisedAt) {
		c.add("acknowledgedAt", "range", "lies not before raisedAt")
	}
	if r.AcknowledgedAt == nil && (r.AcknowledgedBy != nil || r.Comment != nil) {
		c.add("acknowledgedAt", "required", "says when somebody did what acknowledgedBy and comment tell of")
	}
	c.takeAs("message", CheckDescription(&r.Message))
	c.takeAs("comment", CheckDescription(r.Comment))
	return c.violations
}

// CommandRecord is something that a device was told to do. The device, the name
// and the moment tell it from others.
type CommandRecord struct {
	Device      string         `json:"device"`
	Name        string         `json:"name"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	State       CommandState   `json:"state"`
	CreatedAt   time.Time      `json:"createdAt"`
	ExpiresAt   time.Time      `json:"expiresAt"`
	SentAt      *time.Time     `json:"sentAt,omitempty"`
	DeliveredAt *time.Time     `json:"deliveredAt,omitempty"`
	EndedAt     *time.Time     `json:"endedAt,omitempty"`
	Result      any            `json:"result,omitempty"`
	Error       *string        `json:"error,omitempty"`
	ID          ID             `json:"id,omitempty"`
	Version     int            `json:"version,omitempty"`
	// Order is what the store orders commands by.
	Order string `json:"-"`
}

// RecordKind is command.
func (*CommandRecord) RecordKind() RecordKind { return RecordCommand }

// RecordKey is the device's reference and the name of the command.
func (r *CommandRecord) RecordKey() string { return r.Device + "/" + r.Name }

// RecordID is the command's.
func (r *CommandRecord) RecordID() ID { return r.ID }

// NewCommandRecord is the record of a command of a device.
func NewCommandRecord(c *Command, device, order string) *CommandRecord {
	return &CommandRecord{
		Device: device, Name: c.Name, Parameters: c.Parameters, State: c.State, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt,
		SentAt: c.SentAt, DeliveredAt: c.DeliveredAt, EndedAt: c.EndedAt, Result: c.Result, Error: c.Error, ID: c.ID, Version: c.Version, Order: order,
	}
}

// Command is the command that the record is of, in milliseconds; its device, id
// and version are the store's business, as is what was sent with it.
func (r *CommandRecord) Command() *Command {
	return &Command{
		Name: r.Name, State: r.State, Version: 1, CreatedAt: inMillis(r.CreatedAt), ExpiresAt: inMillis(r.ExpiresAt),
		SentAt: optionalInMillis(r.SentAt), DeliveredAt: optionalInMillis(r.DeliveredAt), EndedAt: optionalInMillis(r.EndedAt), Error: r.Error,
	}
}

// Check tells what is wrong with the record by itself.
func (r *CommandRecord) Check() []Violation {
	c := &checker{}
	if r.Device == "" {
		c.add("device", "required", "name the device")
	}
	if !measureName.MatchString(r.Name) {
		c.add("name", "name", "a command's name is 1 to 64 letters, digits and underscores and does not begin with a digit")
	}
	switch r.State {
	case CommandQueued, CommandSent, CommandAcknowledged, CommandFailed, CommandExpired, CommandCancelled:
	default:
		c.add("state", "enum", "%q is no state of a command", r.State)
	}
	if r.CreatedAt.Before(earliestMeasurement) {
		c.add("createdAt", "range", "lies in the year 2000 or later")
	}
	if after := r.ExpiresAt.Sub(r.CreatedAt); after <= 0 || after > MaxExpiry {
		c.add("expiresAt", "range", "lies after createdAt, by at most 90 days")
	}
	later := func(path string, at *time.Time) {
		if at != nil && at.Before(r.CreatedAt) {
			c.add(path, "range", "lies not before createdAt")
		}
	}
	later("sentAt", r.SentAt)
	later("deliveredAt", r.DeliveredAt)
	later("endedAt", r.EndedAt)
	if r.State == CommandQueued && (r.SentAt != nil || r.DeliveredAt != nil) {
		c.add("sentAt", "state", "a command that is QUEUED was not sent")
	}
	if r.State.Open() != (r.EndedAt == nil) {
		c.add("endedAt", "state", "a command has ended unless it is QUEUED or SENT")
	}
	if r.State.Open() && (r.Result != nil || r.Error != nil) {
		c.add("result", "state", "a command that is QUEUED or SENT has no answer")
	}
	c.takeAs("error", CheckDescription(r.Error))
	return c.violations
}

// inMillis is a moment in the milliseconds that the API has.
func inMillis(at time.Time) time.Time { return at.UTC().Truncate(time.Millisecond) }

func optionalInMillis(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	moment := inMillis(*at)
	return &moment
}
