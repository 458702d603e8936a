package decode

import (
	"maps"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// attributePath is where a frame says one of its device's attributes.
type attributePath struct {
	name string
	path path
}

// attributePaths reads the option attributes: a path by the name of each
// attribute that the template lets its devices set.
func (m *measures) attributePaths(o *options) []attributePath {
	of := o.object("attributes")
	if of == nil {
		return nil
	}
	var out []attributePath
	for _, name := range slices.Sorted(maps.Keys(of.values)) {
		p, ok := of.pathOption(name)
		switch {
		case m.template != nil && !m.template.Reports(name):
			of.refuse(name, "reported", "template %s does not say, in reported, that its devices may set this attribute", m.template.Name)
		case ok:
			out = append(out, attributePath{name, p})
		}
	}
	return out
}

// attributesIn are the attributes that a frame has, nil for none. What is null is
// left out.
func attributesIn(paths []attributePath, document, frame any) registry.Attributes {
	var out registry.Attributes
	for _, a := range paths {
		found, ok := a.path.follow(document, frame)
		if !ok || found == nil {
			continue
		}
		if out == nil {
			out = registry.Attributes{}
		}
		out[a.name] = found
	}
	return out
}
