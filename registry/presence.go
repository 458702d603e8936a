package registry

import "time"

// Presence is whether a device is there.
type Presence struct {
	// Connected is nil where neither a session nor the template's silence tells.
	Connected *bool
	// LastSeenAt is when Holon last received something of it, Since when it
	// connected or was found to be silent.
	LastSeenAt *time.Time
	Since      *time.Time
}

// Seen is when a device was seen last, as far as the graph knows: the newest
// time of measurement.
type Seen struct {
	Account ID
	TwinID  ID
	// LastAt is nil for a device that never measured.
	LastAt *time.Time
	// MadeAt is when the device was made: the silence of one that was never heard
	// of counts from then.
	MadeAt time.Time
	// Silence is that of its template, 0 for never.
	Silence time.Duration
}

// SilentAt is when the device is silent if nothing more is heard of it.
func (s Seen) SilentAt() time.Time {
	if s.LastAt == nil {
		return s.MadeAt.Add(s.Silence)
	}
	return s.LastAt.Add(s.Silence)
}

// Present is the presence that follows. Whether a device is there that was never
// heard of is not known until it has been silent for as long as its template says.
func (s Seen) Present(now time.Time) Presence {
	p := Presence{LastSeenAt: s.LastAt}
	until := s.SilentAt()
	connected := until.After(now)
	if s.Silence == 0 || s.LastAt == nil && connected {
		return p
	}
	if p.Connected = &connected; !connected {
		p.Since = &until
	}
	return p
}

// DeviceSession is one connection of a device.
type DeviceSession struct {
	Account, Device ID
	// ID tells it from other sessions of the device.
	ID string
}
