package gqlhttp

import (
	"cmp"
	"time"
)

// Limits bound what one caller can ask for. A field that is zero has the value
// that DefaultLimits gives it.
//
// Fields, RootFields, Aliases and Directives are counted as if every fragment
// were written out where it is spread, so that a document cannot hide its size.
type Limits struct {
	// BodyBytes bounds the body of a POST and each message on a socket, variables
	// included.
	BodyBytes int64
	// URLBytes bounds the query string of a GET.
	URLBytes int
	// Tokens bounds a document's tokens, comments included.
	Tokens int
	// Nesting bounds brackets within brackets, whatever they mean. It is checked
	// before the document is parsed.
	Nesting int
	// Operations bounds the operations of one document.
	Operations int
	// Fragments bounds the fragment definitions of one document.
	Fragments int
	// Depth bounds fields within fields.
	Depth int
	// Fields bounds all fields of an operation.
	Fields int
	// RootFields bounds the fields of the root: searches or mutations at once.
	RootFields int
	// Aliases bounds the fields that are asked for under another name.
	Aliases int
	// Directives bounds the directives of an operation.
	Directives int
	// Complexity bounds the objects and values that an operation may return, by
	// the sizes of the pages it asks for; see PageCost.
	Complexity int
	// Timeout bounds the time of a query or mutation. Subscriptions have none.
	Timeout time.Duration
	// Errors bounds the errors of one response; the rest is counted.
	Errors int

	// Sockets bounds the open WebSockets of this process.
	Sockets int
	// SocketOperations bounds the operations that run on one socket at a time.
	SocketOperations int
	// InitTimeout is how long a new socket may take to send connection_init, and
	// how long its key may take to be checked.
	InitTimeout time.Duration
	// PingInterval is the time between two pings of an idle or busy socket.
	PingInterval time.Duration
	// WriteTimeout is how long a client may take to read a message, or to answer
	// a ping, before it is cut off.
	WriteTimeout time.Duration
}

// DefaultLimits suit people and front ends that use pages of up to some hundred
// objects; the introspection query of GraphiQL passes them.
func DefaultLimits() Limits {
	return Limits{
		BodyBytes:        8 << 20,
		URLBytes:         8 << 10,
		Tokens:           5_000,
		Nesting:          100,
		Operations:       20,
		Fragments:        100,
		Depth:            20,
		Fields:           1_000,
		RootFields:       50,
		Aliases:          100,
		Directives:       50,
		Complexity:       20_000,
		Timeout:          30 * time.Second,
		Errors:           50,
		Sockets:          10_000,
		SocketOperations: 100,
		InitTimeout:      5 * time.Second,
		PingInterval:     20 * time.Second,
		WriteTimeout:     10 * time.Second,
	}
}

// orDefault fills in what was left at zero.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{
		BodyBytes:        cmp.Or(l.BodyBytes, d.BodyBytes),
		URLBytes:         cmp.Or(l.URLBytes, d.URLBytes),
		Tokens:           cmp.Or(l.Tokens, d.Tokens),
		Nesting:          cmp.Or(l.Nesting, d.Nesting),
		Operations:       cmp.Or(l.Operations, d.Operations),
		Fragments:        cmp.Or(l.Fragments, d.Fragments),
		Depth:            cmp.Or(l.Depth, d.Depth),
		Fields:           cmp.Or(l.Fields, d.Fields),
		RootFields:       cmp.Or(l.RootFields, d.RootFields),
		Aliases:          cmp.Or(l.Aliases, d.Aliases),
		Directives:       cmp.Or(l.Directives, d.Directives),
		Complexity:       cmp.Or(l.Complexity, d.Complexity),
		Timeout:          cmp.Or(l.Timeout, d.Timeout),
		Errors:           cmp.Or(l.Errors, d.Errors),
		Sockets:          cmp.Or(l.Sockets, d.Sockets),
		SocketOperations: cmp.Or(l.SocketOperations, d.SocketOperations),
		InitTimeout:      cmp.Or(l.InitTimeout, d.InitTimeout),
		PingInterval:     cmp.Or(l.PingInterval, d.PingInterval),
		WriteTimeout:     cmp.Or(l.WriteTimeout, d.WriteTimeout),
	}
}
