package graph

import (
	"maps"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// A thing is a group, a device or an asset: what has a template, attributes and
// relations. Their queries differ in the label only.

// label is the label of a kind's nodes.
func label(kind registry.Kind) string {
	switch kind {
	case registry.KindGroup:
		return "Group"
	case registry.KindDevice:
		return "Device"
	}
	return "Asset"
}

// noun is what a message calls a kind.
func noun(kind registry.Kind) string { return strings.ToLower(string(kind)) }

// thing is the expression that returns a thing in the variable v.
func thing(v string) string {
	return strings.ReplaceAll(`{kind: CASE WHEN NODE:Group THEN 'GROUP' WHEN NODE:Device THEN 'DEVICE' ELSE 'ASSET' END, node: properties(NODE),
		templateID: [(NODE)-[:INSTANCE_OF]->(instanced) | instanced.id][0], parentID: [(NODE)-[:CHILD_OF]->(above) | above.id][0]}`, "NODE", v)
}

// byRef are the two texts of a query about one thing: found by its key or by
// its id.
type byRef map[registry.Kind][2]query

// forEachKind makes a query for each kind. The text's THING becomes the match
// of the node n.
func forEachKind(name, text string) byRef {
	out := byRef{}
	for _, kind := range registry.Kinds {
		byKey := strings.ReplaceAll("MATCH (n:LABEL) WHERE n.account = $account AND n.keyFold = $key", "LABEL", label(kind))
		byID := strings.ReplaceAll("MATCH (n:Entity {id: $id}) WHERE n.account = $account AND n:LABEL", "LABEL", label(kind))
		out[kind] = [2]query{
			named(noun(kind)+"."+name+"ByKey", strings.ReplaceAll(text, "THING", byKey)),
			named(noun(kind)+"."+name+"ByID", strings.ReplaceAll(text, "THING", byID)),
		}
	}
	return out
}

// labelled makes a query for each kind, with LABEL replaced.
func labelled(name, text string) map[registry.Kind]query {
	out := map[registry.Kind]query{}
	for _, kind := range registry.Kinds {
		out[kind] = named(noun(kind)+"."+name, strings.ReplaceAll(text, "LABEL", label(kind)))
	}
	return out
}

// of returns the query for a reference, and its parameters with more added.
func (q byRef) of(ref registry.Ref, more params) (query, params) {
	if more == nil {
		more = params{}
	}
	if ref.ID != "" {
		more["id"] = string(ref.ID)
		return q[ref.Kind][1], more
	}
	more["key"] = foldedKey(ref)
	return q[ref.Kind][0], more
}

// atVersion refuses with CONFLICT what has another version than is wanted, which
// is nil for any.
func atVersion(noun string, version int, want *int) error {
	if want == nil || *want == version {
		return nil
	}
	return registry.Conflict("ifVersion", "the %s has version %d, not %d", noun, version, *want)
}

// missing is the error for a thing that does not exist.
func missing(ref registry.Ref) error {
	if ref.ID != "" {
		return registry.NotFound(noun(ref.Kind), string(ref.ID))
	}
	return registry.NotFound(noun(ref.Kind), ref.Key)
}

// thingOf reads what the expression thing returned.
func thingOf(f fields) registry.Related {
	kind, node := registry.Kind(f.text("kind")), f.nested("node")
	if *f.fail != nil {
		return nil
	}
	if kind != registry.KindGroup {
		return twinOf(kind, node, f.id("templateID"))
	}
	return &registry.Group{
		Object: objectOf(node), Name: node.text("name"), Path: node.text("path"), Depth: node.integer("depth"),
		Description: node.optionalText("description"), ParentID: parentOf(f), TemplateID: f.id("templateID"), Attributes: attributesOf(node, kind),
	}
}

// twinOf reads a device's or an asset's node.
func twinOf(kind registry.Kind, node fields, template registry.ID) registry.Related {
	object, attributes := objectOf(node), attributesOf(node, kind)
	switch kind {
	case registry.KindDevice:
		return &registry.Device{
			Object: object, Reference: node.text("reference"), Description: node.optionalText("description"),
			State: registry.State(node.text("state")), TemplateID: template, Attributes: attributes, Details: detailsOf(node),
			ComponentName: node.optionalText("componentName"), ComponentDepth: depthOf(node),
		}
	}
	return &registry.Asset{
		Object: object, Reference: node.text("reference"), Description: node.optionalText("description"),
		State: registry.State(node.text("state")), TemplateID: template, Attributes: attributes, Details: detailsOf(node),
	}
}

func detailsOf(node fields) registry.Details {
	return registry.Details{
		ExternalReference: node.optionalText("externalReference"), ImageURL: node.optionalText("imageUrl"), Connected: nullable[bool](node, "connected"),
	}
}

// depthOf is how many devices a device is within.
func depthOf(node fields) int {
	if depth := nullable[int64](node, "componentDepth"); depth != nil {
		return int(*depth)
	}
	return 0
}

// putDetails sets what a node holds of details; null removes.
func putDetails(node map[string]any, d registry.Details) {
	node["externalReference"], node["imageUrl"], node["connected"] = d.ExternalReference, d.ImageURL, d.Connected
}

func parentOf(f fields) registry.ID {
	if parent := f.optionalText("parentID"); parent != nil {
		return registry.ID(*parent)
	}
	return ""
}

// typedThing reads a thing of a known kind from the column thing.
func typedThing[T registry.Related](f fields) T {
	typed, ok := thingOf(f.nested("thing")).(T)
	if !ok {
		f.failed("%sthing is of another kind", f.path)
	}
	return typed
}

func kindOf(thing registry.Related) registry.Kind {
	switch thing.(type) {
	case *registry.Group:
		return registry.KindGroup
	case *registry.Device:
		return registry.KindDevice
	}
	return registry.KindAsset
}

func keyOf(thing registry.Related) string {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.Path
	case *registry.Device:
		return thing.Reference
	case *registry.Asset:
		return thing.Reference
	}
	return ""
}

// nodeOf is what a thing's node holds.
func nodeOf(thing registry.Related, template *registry.Template) (map[string]any, error) {
	var object registry.Object
	var description *string
	var attributes registry.Attributes
	builtIn := map[string]any{}
	switch thing := thing.(type) {
	case *registry.Group:
		object, description, attributes = thing.Object, thing.Description, thing.Attributes
		builtIn["path"], builtIn["name"], builtIn["depth"] = thing.Path, thing.Name, thing.Depth
	case *registry.Device:
		object, description, attributes = thing.Object, thing.Description, thing.Attributes
		builtIn["reference"], builtIn["state"] = thing.Reference, string(thing.State)
		putDetails(builtIn, thing.Details)
		if thing.ComponentName != nil {
			builtIn["componentName"], builtIn["componentDepth"] = *thing.ComponentName, thing.ComponentDepth
		}
	case *registry.Asset:
		object, description, attributes = thing.Object, thing.Description, thing.Attributes
		builtIn["reference"], builtIn["state"] = thing.Reference, string(thing.State)
		putDetails(builtIn, thing.Details)
	}
	out, err := properties(attributes)
	if err != nil {
		return nil, err
	}
	out[wordsProperty] = searchText(out)
	maps.Copy(out, builtIn)
	out["id"], out["version"], out["createdAt"], out["updatedAt"] = string(object.ID), object.Version, object.CreatedAt, object.UpdatedAt
	out["keyFold"], out["description"], out["templateFold"] = Fold(keyOf(thing)), description, Fold(template.Name)
	return out, nil
}

func objectIn(thing registry.Related) registry.Object {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.Object
	case *registry.Device:
		return thing.Object
	}
	return thing.(*registry.Asset).Object
}

func attributesIn(thing registry.Related) registry.Attributes {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.Attributes
	case *registry.Device:
		return thing.Attributes
	}
	return thing.(*registry.Asset).Attributes
}
