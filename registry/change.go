package registry

import (
	"io"
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
)

// MarshalGQL writes the kind as a GraphQL enum value.
func (k ObjectKind) MarshalGQL(w io.Writer) { marshalEnum(w, string(k)) }

// UnmarshalGQL reads the kind from a GraphQL enum value.
func (k *ObjectKind) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, k, ObjectGroup, ObjectDevice, ObjectAsset, ObjectTemplate, ObjectPolicy, ObjectProfile, ObjectMeasureType)
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
