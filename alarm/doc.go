// Package alarm decides, reading by reading, when devices and assets raise the
// alarms that their templates declare, and when these are cleared. What a rule
// has seen so far is kept beside the live state; the alarms themselves are in the
// graph, where raising one again for the same reason does nothing, so that work
// that was cut off is done again (docs/adr/0027).
//
// The package imports registry and rule, and speaks of the stores as small
// interfaces.
package alarm
