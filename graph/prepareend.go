package graph

import "github.com/holon-registry/holon/registry"

// preparedEnd is the expression of what is read of an object n, whose template
// is t, that a relation is to lead to: a list, since maps and whole nodes take
// several times as long.
const preparedEnd = `[ref, elementId(n), n.id, n.version,
	CASE WHEN n:Group THEN 'GROUP' WHEN n:Device THEN 'DEVICE' ELSE 'ASSET' END, coalesce(n.path, n.reference), t.id]`

// readEnds adds the ends of relations to what is prepared. Of such an object no
// more is known than its id, version and key.
func (p *prepared) readEnds(f fields, instanced map[registry.ID]*compiledTemplate) {
	for i, item := range f.list("ends") {
		row, _ := item.([]any)
		if len(row) != 7 {
			f.failed("ends[%d] has %d columns", i, len(row))
			return
		}
		var texts [7]string
		version, whole := row[3].(int64)
		for column, value := range row {
			text, ok := value.(string)
			whole = whole && (ok || column == 3)
			texts[column] = text
		}
		if !whole {
			f.failed("ends[%d] is no end of a relation: %v", i, row)
			return
		}
		ref, place, kind, key, template := texts[0], texts[1], registry.Kind(texts[4]), texts[5], registry.ID(texts[6])
		object := registry.Object{ID: registry.ID(texts[2]), Version: int(version)}
		p.targets[ref] = target{thing: endOf(kind, object, key, template), template: instanced[template]}
		p.places[object.ID] = place
	}
}

// endOf is an object with no more than what tells which it is.
func endOf(kind registry.Kind, object registry.Object, key string, template registry.ID) registry.Related {
	switch kind {
	case registry.KindGroup:
		return &registry.Group{Object: object, Path: key, TemplateID: template}
	case registry.KindDevice:
		return &registry.Device{Object: object, Reference: key, TemplateID: template}
	}
	return &registry.Asset{Object: object, Reference: key, TemplateID: template}
}
