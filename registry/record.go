package registry

import "time"

// Record is one object of an account as it stands in a file: it names others
// by their keys, so that it means the same in another account. The tags are
// the file's field names (docs/import-export.md).
type Record interface {
	// RecordKind says what the record is of.
	RecordKind() RecordKind
	// RecordKey names the record in reports: a path, a reference, a name.
	RecordKey() string
	// RecordID is the id of the object that the record is about; empty if the
	// record does not say.
	RecordID() ID
}

// RecordKind tells records apart.
type RecordKind string

// The kinds of records, in the order in which a file has them.
const (
	RecordMeasureType  RecordKind = "measureType"
	RecordTemplate     RecordKind = "template"
	RecordGroup        RecordKind = "group"
	RecordAsset        RecordKind = "asset"
	RecordDevice       RecordKind = "device"
	RecordRelation     RecordKind = "relation"
	RecordPart         RecordKind = "part"
	RecordLink         RecordKind = "link"
	RecordDesired      RecordKind = "desired"
	RecordPolicy       RecordKind = "policy"
	RecordProfile      RecordKind = "profile"
	RecordAlarm        RecordKind = "alarm"
	RecordCommand      RecordKind = "command"
	RecordMeasurements RecordKind = "measurements"
)

// Stamp is what an object got when it was made. It is kept on request, and made
// anew otherwise.
type Stamp struct {
	ID        ID         `json:"id,omitempty"`
	CreatedAt *time.Time `json:"createdAt,omitempty"`
	// Order is what the store orders the objects of a kind by.
	Order string `json:"-"`
}

// RecordID is the id of the object; empty if the record does not say.
func (s Stamp) RecordID() ID { return s.ID }

// Revision is what changes of an object leave on it.
type Revision struct {
	Version   int        `json:"version,omitempty"`
	UpdatedAt *time.Time `json:"updatedAt,omitempty"`
}

// MeasureTypeRecord is a measure type.
type MeasureTypeRecord struct {
	Name        string         `json:"name"`
	ValueType   ValueType      `json:"valueType"`
	Values      []string       `json:"values,omitempty"`
	Fields      []MeasureField `json:"fields,omitempty"`
	Unit        *string        `json:"unit,omitempty"`
	Description *string        `json:"description,omitempty"`
	Annotations Annotations    `json:"annotations,omitempty"`
	Stamp
	Revision
}

// RecordKind is measureType.
func (*MeasureTypeRecord) RecordKind() RecordKind { return RecordMeasureType }

// RecordKey is the name.
func (r *MeasureTypeRecord) RecordKey() string { return r.Name }

// TemplateRecord is one version of a template.
type TemplateRecord struct {
	Kind        Kind                 `json:"kind"`
	Name        string               `json:"name"`
	Version     int                  `json:"version"`
	Status      TemplateStatus       `json:"status"`
	Description *string              `json:"description,omitempty"`
	Properties  map[string]any       `json:"properties,omitempty"`
	Required    []string             `json:"required,omitempty"`
	Relations   []RelationRule       `json:"relations,omitempty"`
	Measures    []MeasureDeclaration `json:"measures,omitempty"`
	Components  []string             `json:"components,omitempty"`
	Searched    []string             `json:"searched,omitempty"`
	Annotations Annotations          `json:"annotations,omitempty"`
	Behaviour
	// Revision counts the changes of the version.
	Revision    int        `json:"revision,omitempty"`
	PublishedAt *time.Time `json:"publishedAt,omitempty"`
	Stamp
}

// RecordKind is template.
func (*TemplateRecord) RecordKind() RecordKind { return RecordTemplate }

// RecordKey is the name.
func (r *TemplateRecord) RecordKey() string { return r.Name }

// ThingRecord is a group, a device or an asset.
type ThingRecord struct {
	Kind Kind `json:"-"`
	// Path is a group's key, Reference that of the others.
	Path        string  `json:"path,omitempty"`
	Reference   string  `json:"reference,omitempty"`
	Description *string `json:"description,omitempty"`
	// State is that of a device or an asset; ACTIVE if empty.
	State State `json:"state,omitempty"`
	// Template is a name; the open template if empty.
	Template string `json:"template,omitempty"`
	// TemplateVersion is the newest published one if 0.
	TemplateVersion int `json:"templateVersion,omitempty"`
	// ComponentOf is the reference of the device that a device is a component of,
	// ComponentName its name there. Its own reference is made of both.
	ComponentOf       string     `json:"componentOf,omitempty"`
	ComponentName     string     `json:"componentName,omitempty"`
	ExternalReference *string    `json:"externalReference,omitempty"`
	ImageURL          *string    `json:"imageUrl,omitempty"`
	Connected         *bool      `json:"connected,omitempty"`
	Attributes        Attributes `json:"attributes,omitempty"`
	// Relations lead to things that stand before this one in the file; all of
	// them as the store reads them.
	Relations []RelationsRecord `json:"relations,omitempty"`
	Stamp
	Revision
	// Links are those of a device, ended ones too. In a file they are records of
	// their own, as is what an asset is a part of, and what a twin is to become.
	Links   []*LinkRecord  `json:"-"`
	PartOf  string         `json:"-"`
	Desired *DesiredRecord `json:"-"`
}

// RecordKind is group, asset or device.
func (r *ThingRecord) RecordKind() RecordKind {
	switch r.Kind {
	case KindGroup:
		return RecordGroup
	case KindDevice:
		return RecordDevice
	}
	return RecordAsset
}

// RecordKey is the path or the reference.
func (r *ThingRecord) RecordKey() string {
	if r.Kind == KindGroup {
		return r.Path
	}
	return r.Reference
}

// RelationsRecord is one relation and all that it leads to.
type RelationsRecord struct {
	Name string `json:"name"`
	// Tag says that the relation makes no membership; nil leaves that to the
	// templates.
	Tag     *bool    `json:"tag,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Assets  []string `json:"assets,omitempty"`
	Devices []string `json:"devices,omitempty"`
}

// Refs are the ends of the relation.
func (r *RelationsRecord) Refs() []Ref {
	var refs []Ref
	for _, of := range []struct {
		kind Kind
		keys []string
	}{{KindGroup, r.Groups}, {KindAsset, r.Assets}, {KindDevice, r.Devices}} {
		for _, key := range of.keys {
			refs = append(refs, Ref{Kind: of.kind, Key: key})
		}
	}
	return refs
}

// Add adds an end.
func (r *RelationsRecord) Add(kind Kind, key string) {
	switch kind {
	case KindGroup:
		r.Groups = append(r.Groups, key)
	case KindAsset:
		r.Assets = append(r.Assets, key)
	case KindDevice:
		r.Devices = append(r.Devices, key)
	}
}

// RefRecord names one thing: exactly one of its fields is set.
type RefRecord struct {
	Group  string `json:"group,omitempty"`
	Asset  string `json:"asset,omitempty"`
	Device string `json:"device,omitempty"`
}

// Ref is the same as a reference.
func (r RefRecord) Ref() Ref {
	switch {
	case r.Group != "":
		return Ref{Kind: KindGroup, Key: r.Group}
	case r.Asset != "":
		return Ref{Kind: KindAsset, Key: r.Asset}
	}
	return Ref{Kind: KindDevice, Key: r.Device}
}

// NewRefRecord names a thing.
func NewRefRecord(kind Kind, key string) RefRecord {
	switch kind {
	case KindGroup:
		return RefRecord{Group: key}
	case KindAsset:
		return RefRecord{Asset: key}
	}
	return RefRecord{Device: key}
}

// RecordID is empty: a relation has no id of its own.
func (*RelationRecord) RecordID() ID { return "" }

// RecordID is the link's.
func (r *LinkRecord) RecordID() ID { return r.ID }

// RecordID is empty: measurements have no ids.
func (*MeasurementsRecord) RecordID() ID { return "" }

// RelationRecord is a relation of a thing to others that stand after it in the
// file.
type RelationRecord struct {
	From RefRecord `json:"from"`
	RelationsRecord
}

// RecordKind is relation.
func (*RelationRecord) RecordKind() RecordKind { return RecordRelation }

// RecordKey is that of the thing where the relation starts.
func (r *RelationRecord) RecordKey() string { return r.From.Ref().Key }

// PartRecord says that an asset is a part of another.
type PartRecord struct {
	Asset string `json:"asset"`
	Of    string `json:"of"`
}

// RecordKind is part.
func (*PartRecord) RecordKind() RecordKind { return RecordPart }

// RecordKey is the part's reference.
func (r *PartRecord) RecordKey() string { return r.Asset }

// RecordID is empty: that an asset is a part has no id of its own.
func (*PartRecord) RecordID() ID { return "" }

// LinkRecord is a link between a device and an asset.
type LinkRecord struct {
	Device   string           `json:"device"`
	Asset    string           `json:"asset"`
	Since    time.Time        `json:"since"`
	Until    *time.Time       `json:"until,omitempty"`
	Measures []MeasureMapping `json:"measures"`
	ID       ID               `json:"id,omitempty"`
}

// RecordKind is link.
func (*LinkRecord) RecordKind() RecordKind { return RecordLink }

// RecordKey is the device's reference.
func (r *LinkRecord) RecordKey() string { return r.Device }

// DesiredRecord is what a device or an asset is to become.
type DesiredRecord struct {
	Device string         `json:"device,omitempty"`
	Asset  string         `json:"asset,omitempty"`
	Values map[string]any `json:"values"`
	Revision
}

// RecordKind is desired.
func (*DesiredRecord) RecordKind() RecordKind { return RecordDesired }

// RecordKey is the twin's reference.
func (r *DesiredRecord) RecordKey() string { return r.Ref().Key }

// RecordID is empty: what is desired has no id of its own.
func (*DesiredRecord) RecordID() ID { return "" }

// Ref is the twin.
func (r *DesiredRecord) Ref() Ref {
	if r.Asset != "" {
		return Ref{Kind: KindAsset, Key: r.Asset}
	}
	return Ref{Kind: KindDevice, Key: r.Device}
}

// PolicyRecord is a policy.
type PolicyRecord struct {
	Reference   string         `json:"reference"`
	Type        string         `json:"type"`
	Description *string        `json:"description,omitempty"`
	Document    map[string]any `json:"document"`
	// AppliesTo lists paths of groups.
	AppliesTo []string `json:"appliesTo"`
	Stamp
	Revision
}

// RecordKind is policy.
func (*PolicyRecord) RecordKind() RecordKind { return RecordPolicy }

// RecordKey is the reference.
func (r *PolicyRecord) RecordKey() string { return r.Reference }

// ProfileRecord is a profile.
type ProfileRecord struct {
	Kind        Kind              `json:"kind"`
	Template    string            `json:"template"`
	Name        string            `json:"name"`
	Description *string           `json:"description,omitempty"`
	Attributes  Attributes        `json:"attributes,omitempty"`
	Relations   []ProfileRelation `json:"relations,omitempty"`
	Stamp
	Revision
}

// RecordKind is profile.
func (*ProfileRecord) RecordKind() RecordKind { return RecordProfile }

// RecordKey is the name.
func (r *ProfileRecord) RecordKey() string { return r.Name }

// MeasurementsRecord is a piece of what one measure of a device was, or of an
// asset's own readings of it, oldest first. Device or Asset is empty.
type MeasurementsRecord struct {
	Device  string `json:"device,omitempty"`
	Asset   string `json:"asset,omitempty"`
	Measure string `json:"measure"`
	// At has times in milliseconds since 1970, Values a value for each, as
	// DecodeValue takes it.
	At     []int64 `json:"at"`
	Values []any   `json:"values"`
}

// RecordKind is measurements.
func (*MeasurementsRecord) RecordKind() RecordKind { return RecordMeasurements }

// RecordKey is the reference of the device or the asset.
func (r *MeasurementsRecord) RecordKey() string { return r.Device + r.Asset }

// RestoreResult is what became of a record.
type RestoreResult string

// The results.
const (
	RestoreMade      RestoreResult = "made"
	RestoreChanged   RestoreResult = "changed"
	RestoreUnchanged RestoreResult = "unchanged"
	RestoreRefused   RestoreResult = "refused"
)

// Restored says what became of a record; Err says why it was refused.
type Restored struct {
	Result RestoreResult
	Err    *Error
}
