package registry

import (
	"io"
	"strconv"
	"time"
)

// ObjectKind tells everything that has a history apart.
type ObjectKind string

// The kinds of objects.
const (
	ObjectGroup       ObjectKind = "GROUP"
	ObjectDevice      ObjectKind = "DEVICE"
	ObjectAsset       ObjectKind = "ASSET"
	ObjectTemplate    ObjectKind = "TEMPLATE"
	ObjectPolicy      ObjectKind = "POLICY"
	ObjectProfile     ObjectKind = "PROFILE"
	ObjectMeasureType ObjectKind = "MEASURE_TYPE"
	ObjectCommand     ObjectKind = "COMMAND"
	ObjectAlarm       ObjectKind = "ALARM"
)

// MarshalGQL writes the kind as a GraphQL enum value.
func (k ObjectKind) MarshalGQL(w io.Writer) { marshalEnum(w, string(k)) }

// UnmarshalGQL reads the kind from a GraphQL enum value.
func (k *ObjectKind) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, k, ObjectGroup, ObjectDevice, ObjectAsset, ObjectTemplate, ObjectPolicy, ObjectProfile, ObjectMeasureType, ObjectCommand, ObjectAlarm)
}

// ChangeOperation is what a change did to its object.
type ChangeOperation string

// The operations.
const (
	ChangeCreate ChangeOperation = "CREATE"
	ChangeUpdate ChangeOperation = "UPDATE"
	ChangeDelete ChangeOperation = "DELETE"
)

// MarshalGQL writes the operation as a GraphQL enum value.
func (o ChangeOperation) MarshalGQL(w io.Writer) { marshalEnum(w, string(o)) }

// UnmarshalGQL reads the operation from a GraphQL enum value.
func (o *ChangeOperation) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, o, ChangeCreate, ChangeUpdate, ChangeDelete)
}

// Change is one entry of an account's journal: what was done to one object, by
// whom and when.
type Change struct {
	// Position numbers the changes of an account, from 1, in the order in which
	// they happened.
	Position int64
	// At is the same for all that one transaction did, and later than everything
	// before it in the account.
	At        time.Time
	Kind      ObjectKind
	ObjectID  ID
	Key       string
	Operation ChangeOperation
	// Action says more precisely what was done: "moved", "related", "published".
	Action string
	// ActorID and ActorName are the key that the change was made with; empty for
	// Holon's own.
	ActorID   ID
	ActorName string
	// RequestID is that of the request, if it had one.
	RequestID string
	// Version is the object's after the change.
	Version int
	// Differences are in the order of their paths.
	Differences []Difference
	// After is the object as it became, nil if it was deleted, or if only its
	// relations changed.
	After map[string]any
}

// Difference is one value that a change set, cleared or replaced.
type Difference struct {
	// Path leads to the value: "description", "attributes.address.city",
	// "relations.located_at".
	Path string `json:"path"`
	// Before is nil where there was none, After where there is none any more.
	Before any `json:"before"`
	After  any `json:"after"`
}

// ID names the change within its account.
func (c *Change) ID() ID { return ID("change-" + strconv.FormatInt(c.Position, 10)) }

// Cursor is where lists and subscriptions go on after the change.
func (c *Change) Cursor() string { return Cursor(strconv.FormatInt(c.Position, 10)) }

// Actor is who made the change, nil for Holon itself.
func (c *Change) Actor() *Actor {
	if c.ActorID == "" && c.ActorName == "" {
		return nil
	}
	return &Actor{ID: c.ActorID, Name: c.ActorName}
}

// Request is the id of the request that made the change, nil if it had none.
func (c *Change) Request() *string {
	if c.RequestID == "" {
		return nil
	}
	return &c.RequestID
}

// Actor is the API key that a change was made with. The key may be gone.
type Actor struct {
	ID   ID
	Name string
}

// SortDirection says which end of a list comes first.
type SortDirection string

// The directions.
const (
	SortAscending  SortDirection = "ASC"
	SortDescending SortDirection = "DESC"
)

// MarshalGQL writes the direction as a GraphQL enum value.
func (d SortDirection) MarshalGQL(w io.Writer) { marshalEnum(w, string(d)) }

// UnmarshalGQL reads the direction from a GraphQL enum value.
func (d *SortDirection) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, d, SortAscending, SortDescending)
}

// ChangeFilter narrows a list of changes. What is left zero narrows nothing.
type ChangeFilter struct {
	Kinds    []ObjectKind
	ObjectID ID
	// Key is that of an object at the time of the change: with one kind only.
	Key       string
	ActorID   ID
	Operation ChangeOperation
	// From and To are both included.
	From, To *time.Time
	// Under is the path of a group: only changes of what was below it before the
	// change or after it.
	Under string
	// Direction is DESC, newest first, if empty.
	Direction SortDirection
}

// ChangePage is a part of a list of changes. Under a group it may hold fewer
// than were asked for although there are more: then End says where to go on.
type ChangePage struct {
	Page[*Change]
	// Start and End are the positions of the first and the last change that were
	// looked at; 0 if there was none.
	Start, End int64
}
