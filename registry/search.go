package registry

import "io"

// The bounds of searches.
const (
	// MaxWalk is how many objects a search may walk through when no index and no
	// relation serves it.
	MaxWalk = 20_000
	// MaxCandidates is how many objects' texts are held against a regular
	// expression, and how many hits a search for words looks at.
	MaxCandidates = 10_000
	// MaxOrderBy is how many fields a list is ordered by.
	MaxOrderBy = 4
	// MaxFacetValues is how many values of a facet are returned.
	MaxFacetValues = 1000
	// MaxFacetRanges is how many ranges a facet has.
	MaxFacetRanges = 100
	// MaxFacetSteps is how many relations a facet's field follows.
	MaxFacetSteps = 3
	// MaxMatching is how many objects one call deletes or changes by a search.
	MaxMatching = 10_000
)

// OrderBy is a field that a list is ordered by: a built-in one, or an attribute
// as in attributes.size. Objects without it come last.
type OrderBy struct {
	Field     string
	Direction SortDirection
}

// Search says which groups, devices and assets are looked for. Empty fields do
// not narrow it.
type Search struct {
	// Kinds are those looked for; all if empty.
	Kinds []Kind
	// IDs narrow the search to these objects; nil does not.
	IDs []ID
	// Where is a rule.
	Where string
	// Under is the path of a group: only what is in its sub-tree.
	Under string
	// IncludeSelf adds the group of Under itself, IncludeLinked the devices that
	// are linked now with assets in its sub-tree.
	IncludeSelf, IncludeLinked bool
	// Templates are names of templates.
	Templates []string
	State     State
	// Members narrows the search to a group's members.
	Members *Members
	// Text are words that all have to occur, each as a word or its beginning.
	Text    string
	OrderBy []OrderBy
}

// Members are the devices and assets in a group, or the groups right below it.
type Members struct {
	Group ID
	// Children takes the groups right below it, and nothing else says more.
	Children bool
	// Relation is the name of the relation that makes the membership, empty for
	// any.
	Relation string
	// Deep takes the whole sub-tree.
	Deep bool
}

// Found is an object that a search found.
type Found struct {
	Thing Related
	// Key is where it lies in the order of the search: what a cursor holds.
	Key string
	// Score tells how well it matches the words that were searched for.
	Score *float64
}

// FloatRange is a range of numbers: From is included, To is not. An end that is
// nil is open.
type FloatRange struct {
	From, To *float64
}

// FacetRequest asks how many objects of a search have each value of a field.
type FacetRequest struct {
	// Field is a built-in field or an attribute, of the objects themselves or of
	// those that relations lead to, as in relations.located_at.path.
	Field string
	// Ranges count numbers by range rather than by value.
	Ranges []FloatRange
	// First is how many values are returned at most.
	First int
}

// Facet is one value of a field, or one range, and the number of objects that
// have it.
type Facet struct {
	// Value is a text, a number or a bool; nil for a range.
	Value any
	From  *float64
	To    *float64
	Count int
}

// Facets are the values of several fields, by the names that a request gives
// them.
type Facets map[string][]Facet

// SearchIndex says how far the index of a searched property is.
type SearchIndex struct {
	Name  string
	State SearchIndexState
}

// SearchIndexState is how far an index is.
type SearchIndexState string

// The states.
const (
	IndexBuilding SearchIndexState = "BUILDING"
	IndexOnline   SearchIndexState = "ONLINE"
	IndexFailed   SearchIndexState = "FAILED"
)

// MarshalGQL writes the state as a GraphQL enum value.
func (s SearchIndexState) MarshalGQL(w io.Writer) { marshalEnum(w, string(s)) }

// UnmarshalGQL reads the state from a GraphQL enum value.
func (s *SearchIndexState) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, s, IndexBuilding, IndexOnline, IndexFailed)
}

// Summary is what is known of all that a search finds.
type Summary struct {
	Total  int
	Facets [][]Facet
}

// MatchingPatch changes every object that a search finds. Attributes merge: null
// clears one.
type MatchingPatch struct {
	Description Optional[string]
	State       *State
	Attributes  Attributes
}

// Matched is what was done with the objects that a search found.
type Matched struct {
	// Matched is how many it found, Done how many were deleted or changed: of
	// those that were deleted, components too.
	Matched, Done int
	// Gone are the devices and assets that were deleted, components included.
	Gone []ID
}
