// Package conform finds out whether a program that sends readings keeps to the
// contract of sources, see docs/source-contract.md: it stands between the program
// and Holon, misbehaves as networks and busy services do, and then looks whether
// everything has arrived, once and right.
//
// It imports the standard library only; what Holon has stored it is told by a
// function.
package conform
