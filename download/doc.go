// Package download streams measurements over HTTP, as CSV or as JSON lines: a
// whole series, however long, in constant memory.
package download
