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
	// Silence is that of its template, 0 for never.
	Silence time.Duration
}

// Present is the presence that follows.
func (s Seen) Present(now time.Time) Presence {
	p := Presence{LastSeenAt: s.LastAt}
	if s.LastAt == nil || s.Silence == 0 {
		return p
	}
	connected := s.LastAt.Add(s.Silence).After(now)
	p.Connected = &connected
	if until := s.LastAt.Add(s.Silence); !connected {
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
