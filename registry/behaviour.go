package registry

import "time"

// Behaviour is what a template says of how its devices and assets act: when they
// are taken to be silent, what they can be told, when they call, for how many
// assets a device measures, and how they write what they send.
type Behaviour struct {
	// SilenceSeconds is after which time without a reading a device is not
	// connected; 0 for never.
	SilenceSeconds float64 `json:"silenceSeconds,omitempty"`
	// OneAsset lets a device be linked to one asset at a time only.
	OneAsset bool                 `json:"oneAsset,omitempty"`
	Commands []CommandDeclaration `json:"commands,omitempty"`
	Alarms   []AlarmRule          `json:"alarms,omitempty"`
	// Decoder is nil where devices send readings as Holon has them.
	Decoder *TemplateDecoder `json:"decoder,omitempty"`
	// Provisioning says whether readings that name the template make devices;
	// CLOSED if empty.
	Provisioning Provisioning `json:"provisioning,omitempty"`
	// Reported lists the attributes that a device may set by itself, in readings.
	Reported []string `json:"reported,omitempty"`
}

// ManyAssets says whether a device may be linked to several assets at a time.
func (b Behaviour) ManyAssets() bool { return !b.OneAsset }

// Silence is after which time without a reading a device is not connected; nil
// for never.
func (b Behaviour) Silence() *time.Duration { return seconds(b.SilenceSeconds) }

// SilenceFor is Silence, 0 for never.
func (b Behaviour) SilenceFor() time.Duration {
	return time.Duration(b.SilenceSeconds * float64(time.Second)).Truncate(time.Millisecond)
}

func seconds(n float64) *time.Duration {
	if n == 0 {
		return nil
	}
	d := time.Duration(n * float64(time.Second)).Truncate(time.Millisecond)
	return &d
}

// The bounds of a silence.
const (
	MinSilence = time.Second
	MaxSilence = 366 * 24 * time.Hour
)

func (n NewTemplate) checkBehaviour(c *checker) {
	switch silence := n.SilenceFor(); {
	case n.SilenceSeconds == 0:
	case n.Kind != KindDevice:
		c.add("silence", "kind", "only devices fall silent")
	case silence < MinSilence || silence > MaxSilence:
		c.add("silence", "range", "is one second to 366 days")
	}
	if n.OneAsset && n.Kind != KindDevice {
		c.add("manyAssets", "kind", "only devices measure for assets")
	}
	n.checkProvisioning(c)
	n.checkCommands(c)
	n.checkAlarms(c)
}
