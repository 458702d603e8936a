// Package devstack starts a real Neo4j Community and a real Redis on this
// machine without Docker, for `holon dev`, for tests and for the doctor.
//
// Neo4j is resolved from its Maven artifacts and run by a JDK; Redis is the
// redis-server on the PATH or, where there is none, the binary inside a Maven
// artifact. What Maven resolved is remembered in the user's cache directory, so
// only the first start needs Maven and a network.
//
// Both stores listen on 127.0.0.1 only, keep their data below one directory and
// end with the process that started them, even when that process is killed.
//
// The package imports nothing but the standard library: a store counts as ready
// when it answers its own protocol on a plain TCP connection, so no driver is
// needed here.
package devstack
