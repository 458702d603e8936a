package registry

import "io"

// Attributes are the user-defined values of an object, by name: text, numbers,
// booleans, lists and objects, as JSON has them. A template validates them.
type Attributes = map[string]any

// Group is a place in a hierarchy.
type Group struct {
	Object
	// Name is the last part of the path; that of the root group is empty.
	Name string
	// Path is the parent's path and the name: "/site/10". The root is "/".
	Path string
	// Depth is the number of groups above; the root's is 0.
	Depth       int
	Description *string
	// ParentID is empty for the root group only.
	ParentID   ID
	TemplateID ID
	Attributes Attributes
}

// IsNode marks a group as a GraphQL Node.
func (*Group) IsNode() {}

// Device is a thing that sends readings.
type Device struct {
	Object
	// Reference is the user's own key, unique in the account.
	Reference   string
	Description *string
	State       State
	TemplateID  ID
	Attributes  Attributes
	Details
	// ComponentName is the device's name in the device that it is a component of,
	// nil if it is none. ComponentDepth is the number of devices that it is within.
	ComponentName  *string
	ComponentDepth int
}

// IsNode marks a device as a GraphQL Node.
func (*Device) IsNode() {}

// Asset is a thing that readings are about.
type Asset struct {
	Object
	// Reference is the user's own key, unique in the account.
	Reference   string
	Description *string
	State       State
	TemplateID  ID
	Attributes  Attributes
	Details
}

// Details are what every device and asset may have, whatever its template.
type Details struct {
	// ExternalReference names the twin in another system: a URI, an ARN, a serial
	// number.
	ExternalReference *string
	ImageURL          *string
	// Connected is nil where nobody said.
	Connected *bool
}

// IsNode marks an asset as a GraphQL Node.
func (*Asset) IsNode() {}

// Twin is a device or an asset: what has live state and measurements.
type Twin interface {
	Node
	TwinKind() Kind
	TwinTemplate() ID
}

// TwinKind is DEVICE.
func (*Device) TwinKind() Kind { return KindDevice }

// TwinTemplate is the id of the device's template.
func (d *Device) TwinTemplate() ID { return d.TemplateID }

// TwinKind is ASSET.
func (*Asset) TwinKind() Kind { return KindAsset }

// TwinTemplate is the id of the asset's template.
func (a *Asset) TwinTemplate() ID { return a.TemplateID }

// State is where a twin is in its life cycle.
type State string

// The states.
const (
	StateUnprovisioned  State = "UNPROVISIONED"
	StateActive         State = "ACTIVE"
	StateDecommissioned State = "DECOMMISSIONED"
	StateRetired        State = "RETIRED"
)

// MarshalGQL writes the state as a GraphQL enum value.
func (s State) MarshalGQL(w io.Writer) { marshalEnum(w, string(s)) }

// UnmarshalGQL reads the state from a GraphQL enum value.
func (s *State) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, s, StateUnprovisioned, StateActive, StateDecommissioned, StateRetired)
}

// NewGroup is what a group is made from.
type NewGroup struct {
	// Parent is the path of the group above; "" and "/" are the root.
	Parent      string
	Name        string
	Description *string
	// Template is a name; "" is the open template.
	Template string
	// Profile is the name of one of the template's profiles, or "".
	Profile    string
	Attributes Attributes
	Relations  []NewRelation
}

// NewTwin is what a device or an asset is made from.
type NewTwin struct {
	Reference   string
	Description *string
	// State is ACTIVE if empty.
	State State
	// Template is a name; "" is the open template.
	Template string
	// Profile is the name of one of the template's profiles, or "".
	Profile    string
	Attributes Attributes
	Relations  []NewRelation
	Details
	// Components are made with a device. Their references are its own and their
	// names.
	Components []NewComponent
	// PartOf is the reference of the asset that an asset is a part of.
	PartOf *string
}

// NewComponent is what a component of a device is made from. The reference of
// the twin is not used.
type NewComponent struct {
	Name string
	NewTwin
}

// TwinPatch changes a device or an asset. Attributes merge: null clears one.
type TwinPatch struct {
	Description       Optional[string]
	State             *State
	Attributes        Attributes
	ExternalReference Optional[string]
	ImageURL          Optional[string]
	Connected         Optional[bool]
	// Template moves the twin to the published template of that name.
	Template *string
	// Profile is the name of one of the template's profiles, which the mode says
	// what to do with; empty it is FILL_UNSET.
	Profile     *string
	ProfileMode ProfileMode
	// Relations are made and ended, nil for none.
	Relations *RelationPatch
	// PartOf makes an asset a part of another, by its reference; null of none.
	PartOf Optional[string]
	// IfVersion refuses the change with CONFLICT when the version differs.
	IfVersion *int
}

// Filter narrows a list of groups, devices or assets. Empty fields do not.
type Filter struct {
	// Under is the path of a group: only what is in its sub-tree.
	Under string
	// Template is the name of a template, of whatever version.
	Template string
	State    State
	// Keys names the things by their paths or references; those that do not exist
	// are left out. At most MaxPage; nil for all things.
	Keys []string
	// Brief things have no attributes, details, version and times: of a group there
	// are id, path, name, depth and description, of a twin id, reference,
	// description, state and template. They take a fraction of the time.
	Brief bool
}
