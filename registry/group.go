package registry

// GroupMove puts a group elsewhere, with everything below it.
type GroupMove struct {
	// Parent is the path of the group to be below; nil leaves it where it is.
	Parent *string
	// Name is the new last part of the path; nil leaves it as it is.
	Name *string
	// IfVersion refuses the change with CONFLICT when the version differs.
	IfVersion *int
}

// MovedGroup is what became of a move.
type MovedGroup struct {
	Group *Group
	// Moved is how many groups have another path now: this one and all below it,
	// or none.
	Moved int
}

// GroupDeletion says how a group is to be deleted.
type GroupDeletion struct {
	// Cascade takes the groups below it along, and ends the relations of all of
	// them. Twins and policies stay.
	Cascade bool
	// IfVersion refuses the deletion with CONFLICT when the version differs.
	IfVersion *int
}

// DeletedGroup is what a deletion took away.
type DeletedGroup struct {
	// Group is the group as it was.
	Group *Group
	DeletedGroups
}

// DeletedGroups counts the groups that a deletion took along, and the relations
// that ended with them.
type DeletedGroups struct {
	Groups, Relations int
}

// The bounds of what one call deletes or makes.
const (
	MaxGroupsAtOnce    = 10_000
	MaxRelationsEnding = 100_000
	MaxTwinsUnrelated  = 20_000
)
