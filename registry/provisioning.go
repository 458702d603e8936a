package registry

import (
	"fmt"
	"io"
	"slices"
)

// Provisioning says whether devices may announce themselves.
type Provisioning string

// The ways.
const (
	// ProvisioningClosed is the default: readings of a device that does not exist
	// are refused, or become dead letters.
	ProvisioningClosed Provisioning = "CLOSED"
	// ProvisioningOpen makes a device of readings that name the template.
	ProvisioningOpen Provisioning = "OPEN"
)

// MarshalGQL writes it as a GraphQL enum value.
func (p Provisioning) MarshalGQL(w io.Writer) {
	if p == "" {
		p = ProvisioningClosed
	}
	marshalEnum(w, string(p))
}

// UnmarshalGQL reads it from a GraphQL enum value.
func (p *Provisioning) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, p, ProvisioningOpen, ProvisioningClosed)
}

// Provisions says whether readings that name the template make devices.
func (t *Template) Provisions() bool {
	return t.Kind == KindDevice && t.Provisioning == ProvisioningOpen
}

// Reports says whether a device of the template may set an attribute by itself.
func (t *Template) Reports(attribute string) bool { return slices.Contains(t.Reported, attribute) }

func (n NewTemplate) checkProvisioning(c *checker) {
	switch {
	case n.Provisioning != "" && n.Provisioning != ProvisioningOpen:
		c.add("provisioning", "enum", "is OPEN or CLOSED")
	case n.Provisioning == ProvisioningOpen && n.Kind != KindDevice:
		c.add("provisioning", "kind", "only devices announce themselves")
	}
	if len(n.Reported) > 0 && n.Kind != KindDevice {
		c.add("reported", "kind", "only devices report attributes")
	}
	for i, name := range n.Reported {
		path := fmt.Sprintf("reported[%d]", i)
		if _, declared := n.Properties[name]; !declared {
			c.add(path, "undeclared", "%q is not among the properties", name)
		}
		if slices.Contains(n.Reported[:i], name) {
			c.add(path, "unique", "%q stands there twice", name)
		}
	}
}

// Report is what a device says of itself: a patch of its attributes.
type Report struct {
	Device     ID
	Attributes Attributes
	// Message numbers what the device was part of: reports of one message, which
	// follow each other, are taken together or not at all.
	Message int
}
