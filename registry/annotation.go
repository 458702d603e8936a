package registry

import (
	"encoding/json"
	"fmt"
)

// Annotations are what clients show and Holon never looks at: titles and
// descriptions in several languages, groups of attributes, hints for editors.
// Nil where there are none.
type Annotations = map[string]any

// MaxAnnotations is how many bytes of JSON the annotations of one thing may be.
const MaxAnnotations = 64 << 10

// normalAnnotations are annotations as they are read back: JSON, nil for none.
func normalAnnotations(a Annotations) Annotations {
	if len(a) == 0 {
		return nil
	}
	var out Annotations
	if text, err := json.Marshal(a); err != nil || json.Unmarshal(text, &out) != nil {
		return a // checkAnnotations says that they are no JSON
	}
	return out
}

// checkAnnotations tells what is wrong with annotations, nil if nothing is.
func checkAnnotations(path string, a Annotations) *Violation {
	text, err := json.Marshal(a)
	switch {
	case err != nil:
		return &Violation{path, "type", "is not a JSON object"}
	case len(text) > MaxAnnotations:
		return &Violation{path, "maxLength", fmt.Sprintf("is at most %d bytes of JSON", MaxAnnotations)}
	}
	return nil
}

// attributeAnnotations is the keyword of a property's JSON Schema that holds
// what clients show of the attribute.
const attributeAnnotations = "annotations"

// checkAnnotations looks at the annotations of a template, of its attributes and
// of its measures.
func (n NewTemplate) checkAnnotations(c *checker) {
	c.take(checkAnnotations(attributeAnnotations, n.Annotations))
	for name, schema := range n.Properties {
		object, _ := schema.(map[string]any)
		given, has := object[attributeAnnotations]
		if !has {
			continue
		}
		path := "properties." + name + "." + attributeAnnotations
		if annotations, is := given.(map[string]any); is {
			c.take(checkAnnotations(path, annotations))
		} else {
			c.add(path, "type", "is a JSON object")
		}
	}
	for i, m := range n.Measures {
		c.take(checkAnnotations(fmt.Sprintf("measures[%d].annotations", i), m.Annotations))
	}
}
