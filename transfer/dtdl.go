package transfer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// maxExtends is how deep interfaces extend each other, as DTDL version 3 has it.
const maxExtends = 12

// dtdl is what files of DTDL interfaces hold.
type dtdl struct {
	interfaces []dtdlInterface
	byID       map[string]*dtdlInterface
	// names are those of the templates, by the interfaces' ids without versions.
	names   map[string]string
	publish bool
}

type dtdlInterface struct {
	cdfItem
	id string
	// base is the id without its version.
	base         string
	major, minor int
	// version numbers the template.
	version int
}

// DTDL reads interfaces of the Digital Twins Definition Language, version 2 or
// 3, and makes a device template of each. What Holon does not have is in the
// notes.
func DTDL(files []NamedReader, publish bool) (Feed, error) {
	d := &dtdl{byID: map[string]*dtdlInterface{}, names: map[string]string{}, publish: publish}
	var others []Item
	for _, file := range files {
		n := 0
		err := eachObject(file.Reader, map[string]bool{"@graph": true}, func(o object) error {
			n++
			item := cdfItem{n, fmt.Sprintf("%s entry %d", file.Name, n), o}
			if err := d.add(item); err != nil {
				others = append(others, Item{Line: n, Origin: item.Origin, Err: err})
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s after entry %d: %w", file.Name, n, err)
		}
	}
	d.number()
	return func(yield func(Item) error) error {
		for i := range d.interfaces {
			item := &d.interfaces[i]
			var notes []string
			t := d.template(item, &notes)
			if err := yield(Item{Line: item.Number, Origin: item.Origin, Record: t, Notes: notes}); err != nil {
				return err
			}
		}
		for _, item := range others {
			if err := yield(item); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// isA says whether an element is of a type, which may be one of several.
func (o object) isA(name string) bool {
	for _, t := range o.list("@type") {
		if t == name || t == "dtmi:dtdl:class:"+name+";2" || t == "dtmi:dtdl:class:"+name+";3" {
			return true
		}
	}
	return false
}

// add takes an interface, and those that are written down inside it.
func (d *dtdl) add(item cdfItem) error {
	o := item.Object
	if !o.isA("Interface") {
		return registry.InvalidField("@type", "kind", "is no Interface")
	}
	it, err := identify(o.text("@id"))
	if err != nil {
		return err
	}
	if d.byID[it.id] != nil {
		return registry.Conflict("@id", "there is another interface %s", it.id)
	}
	if context := fmt.Sprint(o.list("@context")); !strings.Contains(context, "dtmi:dtdl:context;2") && !strings.Contains(context, "dtmi:dtdl:context;3") {
		return registry.InvalidField("@context", "version", "names dtmi:dtdl:context;2 or dtmi:dtdl:context;3")
	}
	it.cdfItem = item
	d.interfaces = append(d.interfaces, it)
	d.byID[it.id] = &it
	for _, inner := range append(o.list("extends"), inlineSchemas(o)...) {
		if inner, ok := inner.(map[string]any); ok && object(inner).isA("Interface") {
			inner["@context"] = o["@context"]
			if err := d.add(cdfItem{item.Number, item.Origin, inner}); err != nil {
				return err
			}
		}
	}
	return nil
}

// inlineSchemas are the interfaces that components have written down in place.
func inlineSchemas(o object) []any {
	var out []any
	for _, content := range o.list("contents") {
		if content, ok := content.(map[string]any); ok && object(content).isA("Component") {
			out = append(out, content["schema"])
		}
	}
	return out
}

// identify reads dtmi:com:example:Thermostat;1, whose version may have two parts
// or be missing.
func identify(id string) (dtdlInterface, error) {
	it := dtdlInterface{id: id, major: 1}
	base, version, versioned := strings.Cut(id, ";")
	it.base = base
	if !strings.HasPrefix(base, "dtmi:") || len(base) == len("dtmi:") {
		return it, registry.InvalidField("@id", "format", "%q is no DTMI", id)
	}
	if versioned {
		major, minor, _ := strings.Cut(version, ".")
		var err error
		if it.major, err = strconv.Atoi(major); err == nil && minor != "" {
			it.minor, err = strconv.Atoi(minor)
		}
		if err != nil || it.major < 1 {
			return it, registry.InvalidField("@id", "format", "%q has no version that is a number", id)
		}
	}
	return it, nil
}

// number names the templates, by as many of the ids' last parts as it takes to
// tell them apart, and numbers their versions.
func (d *dtdl) number() {
	bases := map[string][]*dtdlInterface{}
	for i := range d.interfaces {
		it := &d.interfaces[i]
		d.byID[it.id] = it
		bases[it.base] = append(bases[it.base], it)
	}
	short := map[string]int{}
	for base := range bases {
		short[strings.ToLower(lastPart(base))]++
	}
	for base, versions := range bases {
		name := lastPart(base)
		if short[strings.ToLower(name)] > 1 {
			name = strings.ReplaceAll(strings.TrimPrefix(base, "dtmi:"), ":", "_")
		}
		d.names[base] = names{new([]string)}.template(name)
		slices.SortFunc(versions, func(x, y *dtdlInterface) int {
			return cmp.Or(cmp.Compare(x.major, y.major), cmp.Compare(x.minor, y.minor))
		})
		minors := slices.ContainsFunc(versions, func(it *dtdlInterface) bool { return it.minor > 0 })
		for i, it := range versions {
			if it.version = it.major; minors {
				it.version = i + 1
			}
		}
	}
}

func lastPart(base string) string { return base[strings.LastIndexByte(base, ':')+1:] }

// template makes a template of an interface.
func (d *dtdl) template(it *dtdlInterface, notes *[]string) *registry.TemplateRecord {
	n := names{notes}
	t := &registry.TemplateRecord{
		Kind: registry.KindDevice, Name: d.names[it.base], Version: it.version, Status: registry.TemplateDraft,
		Description: described(it.Object), Properties: map[string]any{},
	}
	if d.publish {
		t.Status = registry.TemplatePublished
	}
	if it.minor > 0 {
		n.note("version %d.%d is version %d", it.major, it.minor, it.version)
	}
	c := &contents{dtdl: d, names: n, into: t, schemas: map[string]any{}}
	c.interfaceOf(it, "", 0)
	return t
}

// described is the description of an element, or else its display name.
func described(o object) *string {
	for _, name := range []string{"description", "displayName"} {
		switch text := o[name].(type) {
		case string:
			return &text
		case map[string]any:
			for _, language := range []string{"en", "en-US", "en-GB"} {
				if s := object(text).text(language); s != "" {
					return &s
				}
			}
			for _, language := range slices.Sorted(maps.Keys(text)) {
				if s, ok := text[language].(string); ok {
					return &s
				}
			}
		}
	}
	return nil
}
