package registry

import "time"

// Link says that an asset has measures of a device, from Since until Until.
// Links are closed, never deleted.
type Link struct {
	ID       ID
	DeviceID ID
	AssetID  ID
	// Measures maps the device's measures to the asset's.
	Measures []MeasureMapping
	Since    time.Time
	// Until is nil while the link holds.
	Until *time.Time
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
	// Since is nil for now. It must lie after everything that the device has
	// measured.
	Since *time.Time
}
