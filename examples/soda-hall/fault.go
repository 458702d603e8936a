package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// faultKind says what is wrong with a line.
type faultKind string

// The kinds of fault.
const (
	unreadable     faultKind = "unreadable"       // the line is no JSON object with all that it needs
	untyped        faultKind = "untyped"          // an entity without a class: nobody knows what it is
	dangling       faultKind = "dangling"         // a relation with something that is untyped or nowhere declared
	declaredTwice  faultKind = "declared twice"   // an entity is there on another line
	caseClash      faultKind = "case clash"       // two ids differ in upper and lower case only
	manyClasses    faultKind = "many classes"     // an entity has more than one class
	badName        faultKind = "bad name"         // an id or a class that Holon does not take
	unknownKind    faultKind = "unknown kind"     // an entity that is no location, equipment or point
	unknownRel     faultKind = "unknown relation" // a relation that has no meaning here
	misfit         faultKind = "misfit"           // a relation between kinds that cannot have it
	statedTwice    faultKind = "stated twice"     // the same fact on another line
	bothEnds       faultKind = "both ends"        // the same fact on another line, from the other end
	cycle          faultKind = "cycle"            // something would contain, hold or feed itself
	severalParents faultKind = "several parents"  // a location is in two others, a unit is fed by two, a point is of two
	noParent       faultKind = "no parent"        // a location is in none
	unconnected    faultKind = "unconnected"      // nothing is said about a point
)

// fault is one thing that is wrong with the data, and what was done about it.
type fault struct {
	file string
	line int
	kind faultKind
	text string
	done string
}

func (f fault) String() string {
	return fmt.Sprintf("%s:%d: %s: %s: %s", f.file, f.line, f.kind, f.text, f.done)
}

// report prints the faults one by one, in the order of the lines, and how many
// of each kind there are.
func report(out io.Writer, faults []fault) {
	slices.SortStableFunc(faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	counts := map[faultKind]int{}
	for _, f := range faults {
		fmt.Fprintln(out, f)
		counts[f.kind]++
	}
	fmt.Fprintf(out, "%d faults", len(faults))
	before := ": "
	for _, kind := range sortedKeys(counts) {
		fmt.Fprintf(out, "%s%d %s", before, counts[kind], kind)
		before = ", "
	}
	fmt.Fprintln(out)
}
