package rule

import (
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Neighbours answers for the objects around one.
type Neighbours struct {
	// Groups are the direct memberships.
	Groups []Object
	// Related are the objects at the other ends of relations, by "OUT name" and
	// "IN name", with the name in lower case.
	Related map[string][]Object
	// Edges are the objects that edges of Holon's own lead to.
	Edges map[Edge][]Object
}

// Thing is a group, a device or an asset as rules see it.
type Thing struct {
	Of registry.Related
	// Template is the template's name.
	Template   string
	Neighbours Neighbours
	// Live are the newest values by measure. Connected is whether the thing is
	// known to be connected; nil where only what was said of it counts.
	Live      map[string]any
	Connected *bool
}

// Measures are the newest values by measure.
func (t Thing) Measures() map[string]any { return t.Live }

// Attributes are the user's own values.
func (t Thing) Attributes() registry.Attributes {
	switch x := t.Of.(type) {
	case *registry.Group:
		return x.Attributes
	case *registry.Device:
		return x.Attributes
	case *registry.Asset:
		return x.Attributes
	}
	return nil
}

// Groups are the groups that it is a direct member of.
func (t Thing) Groups() []Object { return t.Neighbours.Groups }

// Around are the objects that an edge of Holon's own leads to.
func (t Thing) Around(edge Edge) []Object { return t.Neighbours.Edges[edge] }

// Related are the objects at the other ends of relations of a name.
func (t Thing) Related(name string, direction registry.Direction) []Object {
	return t.Neighbours.Related[string(direction)+" "+strings.ToLower(name)]
}

// Field is a built-in field's value.
func (t Thing) Field(name Field) any {
	switch name {
	case FieldTemplate:
		return t.Template
	case FieldComponent:
		device, ok := t.Of.(*registry.Device)
		return ok && device.ComponentName != nil
	case FieldConnected:
		if t.Connected != nil {
			return *t.Connected
		}
	}
	switch x := t.Of.(type) {
	case *registry.Group:
		return groupField(x, name)
	case *registry.Device:
		return twinField(name, string(registry.KindDevice), x.Object, x.Reference, x.State, x.Description, x.Details)
	case *registry.Asset:
		return twinField(name, string(registry.KindAsset), x.Object, x.Reference, x.State, x.Description, x.Details)
	}
	return nil
}

func groupField(g *registry.Group, name Field) any {
	switch name {
	case FieldPath:
		return g.Path
	case FieldName:
		return g.Name
	case FieldDepth:
		return g.Depth
	case FieldDescription:
		return text(g.Description)
	case FieldKind:
		return string(registry.KindGroup)
	}
	return objectField(g.Object, name)
}

func twinField(name Field, kind string, o registry.Object, reference string, state registry.State, description *string, details registry.Details) any {
	switch name {
	case FieldReference:
		return reference
	case FieldState:
		return string(state)
	case FieldDescription:
		return text(description)
	case FieldKind:
		return kind
	case FieldExternalReference:
		return text(details.ExternalReference)
	case FieldImageURL:
		return text(details.ImageURL)
	case FieldConnected:
		if details.Connected != nil {
			return *details.Connected
		}
		return nil
	}
	return objectField(o, name)
}

func objectField(o registry.Object, name Field) any {
	switch name {
	case FieldID:
		return string(o.ID)
	case FieldVersion:
		return o.Version
	case FieldCreatedAt:
		return o.CreatedAt
	case FieldUpdatedAt:
		return o.UpdatedAt
	}
	return nil
}

func text(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}
