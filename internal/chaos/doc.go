// Package chaos runs Holon as the processes that it is in production, on a real
// Neo4j and a real Redis, and kills, pauses and floods them while readings
// arrive. A ledger says what was sent and what was acknowledged; after each
// fault it is held against the graph: every acknowledged reading is there
// exactly once, nothing else is, and the live state is the newest measurement.
//
// `go test` does the faults that matter most, in about a minute. With
// HOLON_CHAOS_MINUTES=n, as `make chaos` sets it, all faults are done one by
// one, the clock of Redis jumps (which needs the Debian package faketime), from
// five minutes on there is a flood of five minutes, and what remains of the n
// minutes, a quarter at least, is for random faults.
package chaos
