// Package rule is the language that objects are searched with: one expression,
// such as
//
//	state == 'active' and any(relations.located_at, .attributes.floor >= 3)
//
// and two ways to run it that agree: on one object in Go (Match), or as a
// predicate in Cypher for many (Compile). It is a part of the language Expr,
// small enough that every expression ends, in bounded time and memory.
//
// A field that an object does not have is nil. Nil can be compared with == and
// != only; every other comparison with it is false, never an error, and so is a
// comparison of values of different types.
//
// The package imports registry, and of Expr its parser and tree only: names and
// types are checked here, and nothing is optimised.
package rule
