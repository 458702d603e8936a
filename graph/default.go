package graph

import (
	"maps"

	"github.com/holon-registry/holon/registry"
)

// What a template gives to attributes that nobody set.

// filled are attributes with the template's defaults for what neither they have
// nor the caller named: a null that was given says that there is to be none. It
// does not change its arguments.
func (t *compiledTemplate) filled(attributes, given registry.Attributes) registry.Attributes {
	return t.fill(attributes, func(name string) bool {
		_, named := given[name]
		return !named
	})
}

// adopted are the attributes of an object that becomes an instance of the
// template, with the defaults that are new to it: those that its old template did
// not have. What it goes without although there was a default already, it was
// meant to go without, unless the template requires it now.
func (t *compiledTemplate) adopted(attributes, given registry.Attributes, old *registry.Template) registry.Attributes {
	return t.fill(attributes, func(name string) bool {
		if _, named := given[name]; named {
			return false
		}
		schema, _ := old.Properties[name].(map[string]any)
		_, had := schema["default"]
		return !had || t.schema.Requires(name)
	})
}

func (t *compiledTemplate) fill(attributes registry.Attributes, may func(name string) bool) registry.Attributes {
	if t.schema == nil {
		return attributes
	}
	out := attributes
	for _, name := range t.schema.Defaults() {
		if _, has := attributes[name]; has || !may(name) {
			continue
		}
		if len(out) == len(attributes) {
			out = maps.Clone(attributes)
			if out == nil {
				out = registry.Attributes{}
			}
		}
		out[name], _ = t.schema.Default(name)
	}
	return out
}
