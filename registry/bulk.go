package registry

// MaxBulk bounds the objects of one bulk request.
const MaxBulk = 10_000

// Bulk is what a bulk request did: an outcome for each of its items, in their
// order.
type Bulk struct {
	Results                  []BulkResult
	Succeeded, Failed, Total int
	// Rehearsal is set if the request was only rehearsed.
	Rehearsal *Rehearsal
}

// BulkResult is the outcome of one item: an object, or why there is none.
type BulkResult struct {
	// Index is the item's place in the request, from 0.
	Index int
	// Key is what the item named: a reference, a path or an id.
	Key string
	// Object is as it is now; nil if the item failed or was deleted.
	Object Related
	// Created says that the object was made, rather than changed.
	Created bool
	// Error is nil if the item succeeded.
	Error *Error
}

// TwinEdit is one item of a bulk update.
type TwinEdit struct {
	Ref   Ref
	Patch TwinPatch
}
