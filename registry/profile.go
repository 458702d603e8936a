package registry

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Profile is what objects of a template can be made with: attributes and
// relations that are copied when it is applied. Objects keep no link to it.
type Profile struct {
	Object
	Kind Kind
	// TemplateName is the name of the template, whose newest version counts.
	TemplateName string
	// Name is unique among the template's profiles.
	Name        string
	Description *string
	Attributes  Attributes
	// Ends are what its relations lead to, in the order of SortEnds.
	Ends []ProfileEnd
}

// IsNode marks a profile as a GraphQL Node.
func (*Profile) IsNode() {}

// TemplateRef names the profile's template.
func (p *Profile) TemplateRef() TemplateRef { return TemplateRef{Kind: p.Kind, Name: p.TemplateName} }

// ProfileEnd is one object that a relation of a profile leads to, or comes from.
// The profile keeps its id, so that it is named whatever its key becomes.
type ProfileEnd struct {
	Relation  string    `json:"name"`
	Direction Direction `json:"direction"`
	Kind      Kind      `json:"kind"`
	ID        ID        `json:"id"`
	Key       string    `json:"key"`
}

// SortEnds puts the ends of a profile in order, each once.
func SortEnds(ends []ProfileEnd) []ProfileEnd {
	slices.SortFunc(ends, func(a, b ProfileEnd) int {
		return cmp.Or(
			strings.Compare(a.Relation, b.Relation), strings.Compare(string(a.Direction), string(b.Direction)), strings.Compare(string(a.Kind), string(b.Kind)),
			strings.Compare(strings.ToLower(a.Key), strings.ToLower(b.Key)), strings.Compare(string(a.ID), string(b.ID)),
		)
	})
	return slices.Compact(ends)
}

// Relations are the profile's relations by the keys of what they lead to.
func (p *Profile) Relations() []ProfileRelation {
	var out []ProfileRelation
	for _, end := range p.Ends {
		if n := len(out); n == 0 || out[n-1].Name != end.Relation || out[n-1].Direction != end.Direction {
			out = append(out, ProfileRelation{Name: end.Relation, Direction: end.Direction})
		}
		keys := out[len(out)-1].keys(end.Kind)
		*keys = append(*keys, end.Key)
	}
	return out
}

// NewRelations are the profile's relations as an object is made with them.
func (p *Profile) NewRelations() []NewRelation {
	var out []NewRelation
	for _, end := range p.Ends {
		if n := len(out); n == 0 || out[n-1].Name != end.Relation || out[n-1].Direction != end.Direction {
			out = append(out, NewRelation{Name: end.Relation, Direction: end.Direction})
		}
		to := &out[len(out)-1].To
		*to = append(*to, Ref{ID: end.ID, Kind: end.Kind})
	}
	return out
}

// ProfileRelation is a relation that objects get, by the keys of the objects at
// the other end.
type ProfileRelation struct {
	Name      string    `json:"name"`
	Direction Direction `json:"direction"`
	Groups    []string  `json:"groups,omitempty"`
	Devices   []string  `json:"devices,omitempty"`
	Assets    []string  `json:"assets,omitempty"`
}

// ProfileRef names a profile, by id, or by kind, template and name.
type ProfileRef struct {
	ID       ID
	Kind     Kind
	Template string
	Name     string
	// IfVersion refuses a deletion with CONFLICT when the version differs.
	IfVersion *int
}

// NewProfile is what a profile is made from.
type NewProfile struct {
	Kind        Kind
	Template    string
	Name        string
	Description *string
	Attributes  Attributes
	Relations   []NewRelation
}

// Check returns what is wrong with a profile, apart from what its template has
// against it.
func (n NewProfile) Check() []Violation {
	c := checker{}
	if !templateName.MatchString(n.Name) {
		c.add("name", "name", "a profile's name is 1 to 64 letters, digits, dashes and underscores and begins with a letter")
	}
	c.take(CheckDescription(n.Description))
	return c.violations
}

// ProfilePatch changes a profile. Attributes merge: null clears one. Relations
// replace the old ones, unless they are nil.
type ProfilePatch struct {
	Description Optional[string]
	Attributes  Attributes
	Relations   []NewRelation
	// IfVersion refuses the change with CONFLICT when the version differs.
	IfVersion *int
}

func (r *ProfileRelation) keys(kind Kind) *[]string {
	switch kind {
	case KindGroup:
		return &r.Groups
	case KindDevice:
		return &r.Devices
	}
	return &r.Assets
}

// NewRelation is the relation as an object is made with it, by keys.
func (r ProfileRelation) NewRelation() NewRelation {
	out := NewRelation{Name: r.Name, Direction: r.Direction}
	for _, kind := range Kinds {
		for _, key := range *r.keys(kind) {
			out.To = append(out.To, Ref{Kind: kind, Key: key})
		}
	}
	return out
}

// ProfileMode says what a profile does to an object that is there already.
type ProfileMode string

// The modes.
const (
	ProfileFillUnset ProfileMode = "FILL_UNSET"
	ProfileOverwrite ProfileMode = "OVERWRITE"
)

// MarshalGQL writes the mode as a GraphQL enum value.
func (m ProfileMode) MarshalGQL(w io.Writer) { marshalEnum(w, string(m)) }

// UnmarshalGQL reads the mode from a GraphQL enum value.
func (m *ProfileMode) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, m, ProfileFillUnset, ProfileOverwrite)
}

// ProfileKey is the key of a profile in lists and in history.
func ProfileKey(kind Kind, template, name string) string {
	return fmt.Sprintf("%s/%s/%s", strings.ToLower(string(kind)), template, name)
}

// Key is the profile's key.
func (p *Profile) Key() string { return ProfileKey(p.Kind, p.TemplateName, p.Name) }
