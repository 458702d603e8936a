// Package twin keeps the newest values of devices and assets, and tells who
// listens when they change. Both live in Redis, as a cache and a bus: Redis can
// be emptied or gone at any time. Live state comes back from the graph; a
// listener is told that its cursor has expired.
//
// The package imports registry and speaks of the graph as an interface.
package twin
