// Package download streams measurements, and lists of devices and assets, over
// HTTP, as CSV or as JSON lines: whole, however long, in constant memory.
package download
