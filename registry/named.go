package registry

// AttributesNamed returns the attributes of these names that the group has, or
// all if no names are given.
func (g *Group) AttributesNamed(names []string) Attributes {
	return attributesNamed(g.Attributes, names)
}

// AttributesNamed returns the attributes of these names that the device has, or
// all if no names are given.
func (d *Device) AttributesNamed(names []string) Attributes {
	return attributesNamed(d.Attributes, names)
}

// AttributesNamed returns the attributes of these names that the asset has, or
// all if no names are given.
func (a *Asset) AttributesNamed(names []string) Attributes {
	return attributesNamed(a.Attributes, names)
}

func attributesNamed(all Attributes, names []string) Attributes {
	if names == nil {
		return all
	}
	out := make(Attributes, len(names))
	for _, name := range names {
		if value, has := all[name]; has {
			out[name] = value
		}
	}
	return out
}
