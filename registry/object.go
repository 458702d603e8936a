package registry

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// ID is the global, opaque identifier of an object: a UUIDv7 in text form.
type ID string

// MarshalGQL writes the id as a GraphQL string.
func (id ID) MarshalGQL(w io.Writer) { io.WriteString(w, strconv.Quote(string(id))) } //nolint:errcheck // gqlgen's writer keeps its error

// UnmarshalGQL reads an id from a GraphQL string.
func (id *ID) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("an id is a string, not %T", v)
	}
	*id = ID(s)
	return nil
}

// Object is what everything that a user makes has in common.
type Object struct {
	ID ID
	// Version grows by one with every change; updates may demand one.
	Version   int
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Kind tells the nouns that have templates and relations apart.
type Kind string

// The kinds.
const (
	KindGroup  Kind = "GROUP"
	KindDevice Kind = "DEVICE"
	KindAsset  Kind = "ASSET"
)

// Kinds lists every kind.
var Kinds = []Kind{KindGroup, KindDevice, KindAsset}

// MarshalGQL writes the kind as a GraphQL enum value.
func (k Kind) MarshalGQL(w io.Writer) { marshalEnum(w, string(k)) }

// UnmarshalGQL reads the kind from a GraphQL enum value.
func (k *Kind) UnmarshalGQL(v any) error { return unmarshalEnum(v, k, Kinds...) }

// Node is anything that node(id:) can find.
type Node interface {
	IsNode()
	NodeID() ID
}

// NodeID is the object's id.
func (o Object) NodeID() ID { return o.ID }

// Ref names a group, a device or an asset: by id, or by kind and key (a
// group's path, a device's or an asset's reference).
type Ref struct {
	ID   ID
	Kind Kind
	Key  string
	// IfVersion refuses a deletion with CONFLICT when the version differs.
	IfVersion *int
}

// Optional is an input that may be absent (Set is false), null (Value is nil)
// or given.
type Optional[T any] struct {
	Set   bool
	Value *T
}

// Some is a given input.
func Some[T any](v T) Optional[T] { return Optional[T]{Set: true, Value: &v} }

func marshalEnum(w io.Writer, s string) { io.WriteString(w, strconv.Quote(s)) } //nolint:errcheck // gqlgen's writer keeps its error

func unmarshalEnum[T ~string](v any, into *T, all ...T) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("an enum value is a name, not %T", v)
	}
	for _, one := range all {
		if string(one) == s {
			*into = one
			return nil
		}
	}
	return fmt.Errorf("%q is none of %v", s, all)
}
