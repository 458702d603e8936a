package registry

// NewRelation names the objects that one relation leads to, or comes from.
type NewRelation struct {
	Name string
	// Direction is OUT if empty.
	Direction Direction
	To        []Ref
}

// RelationPatch changes the relations of an object. What is there already, or
// not there to be ended, is left as it is.
type RelationPatch struct {
	Replace     []RelationSet
	Add, Remove []NewRelation
}

// RelationSet is all that an object's relations of one direction, with objects
// of one kind, are to be.
type RelationSet struct {
	Direction Direction
	Kind      Kind
	// Relations may be none. Their own directions do not matter.
	Relations []NewRelation
}

// Relation is a typed, directed edge between groups, devices and assets, seen
// from one of its ends.
type Relation struct {
	Name      string
	Direction Direction
	// Inherits is false for a mere tag, which makes no membership.
	Inherits bool
	// OtherID and OtherKind say what is at the other end.
	OtherID   ID
	OtherKind Kind
	// OtherTemplate is the folded name of the template at the other end.
	OtherTemplate string
}

// Related is what a relation can lead to: a group, a device or an asset.
type Related interface {
	Node
	IsRelated()
}

// IsRelated marks a group as the end of a relation.
func (*Group) IsRelated() {}

// IsRelated marks a device as the end of a relation.
func (*Device) IsRelated() {}

// IsRelated marks an asset as the end of a relation.
func (*Asset) IsRelated() {}
