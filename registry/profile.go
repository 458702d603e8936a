package registry

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Profile is what objects of a template can be made with: attributes and
// relations that are copied when it is applied. No link is kept.
type Profile struct {
	Object
	Kind Kind
	// TemplateName is the name of the template, whose newest version counts.
	TemplateName string
	// Name is unique among the template's profiles.
	Name        string
	Description *string
	Attributes  Attributes
	Relations   []ProfileRelation
}

// IsNode marks a profile as a GraphQL Node.
func (*Profile) IsNode() {}

// TemplateRef names the profile's template.
func (p *Profile) TemplateRef() TemplateRef { return TemplateRef{Kind: p.Kind, Name: p.TemplateName} }

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

// ProfileRelations sorts relations by the kinds of objects that they name, one
// for each name and direction.
func ProfileRelations(relations []NewRelation) []ProfileRelation {
	var out []ProfileRelation
	for _, relation := range relations {
		name, direction := strings.ToLower(relation.Name), relation.Direction
		if direction == "" {
			direction = DirectionOut
		}
		i := slices.IndexFunc(out, func(r ProfileRelation) bool { return r.Name == name && r.Direction == direction })
		if i < 0 {
			i, out = len(out), append(out, ProfileRelation{Name: name, Direction: direction})
		}
		for _, ref := range relation.To {
			keys := out[i].keys(ref.Kind)
			*keys = append(*keys, ref.Key)
		}
	}
	return out
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

// NewRelation is the relation as an object is made with it.
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
