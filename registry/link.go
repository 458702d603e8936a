package registry

import "time"

// Link says that an asset has measures of a device, from Since until Until.
// Links are closed, never deleted.
type Link struct {
	ID       ID
	DeviceID ID
	AssetID  ID
	// DeviceReference and AssetReference are those of the ends, which may be deleted.
	DeviceReference, AssetReference string
	// Measures maps the device's measures to the asset's.
	Measures []MeasureMapping
	Since    time.Time
	// Until is nil while the link holds.
	Until *time.Time
	// Moving says that the asset does not have all yet that the device has
	// measured since the link began.
	Moving bool
}

// MeasureMapping maps a device's measure to an asset's.
type MeasureMapping struct {
	Device string `json:"device"`
	Asset  string `json:"asset"`
}

// HoldsAt says whether the link was in force at a time: Since <= t < Until.
func (l *Link) HoldsAt(t time.Time) bool {
	return !t.Before(l.Since) && (l.Until == nil || t.Before(*l.Until))
}

// NewLink is what a link is made from.
type NewLink struct {
	Device   Ref
	Asset    Ref
	Measures []MeasureMapping
	// Since is nil for now. What the device has measured since then becomes the
	// asset's.
	Since *time.Time
	// Replace takes the asset's measures over from the devices that feed them.
	Replace bool
	// Instead is the device whose link to the asset ends when this one begins;
	// without Measures, the new one measures what the old one did.
	Instead *Ref
	// Rehearse only tells what would be moved and which links would end.
	Rehearse bool
}

// EndLink says which link is to end, or which measures of it.
type EndLink struct {
	Device Ref
	Asset  Ref
	// Measures are the asset's; nil for all.
	Measures []string
}

// Linked is what became of a new link.
type Linked struct {
	// Link is nil after a rehearsal.
	Link *Link
	// Ended are the links that it took over from, in whole or in part.
	Ended []*Link
	Moved Moved
	// Skipped are measures of both ends that a link without a mapping leaves out:
	// the path is the name, the message says why.
	Skipped []Violation
	// Token is that of a rehearsal.
	Token string
}

// Unlinked is what became of a link that was ended.
type Unlinked struct {
	Link *Link
	// Remaining is the link of the measures that were not named, from the end of
	// the other on; nil if there are none.
	Remaining *Link
}

// Moved counts what a link that begins in the past gives to its asset.
type Moved struct {
	Measurements int
	Buckets      int
}
