package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// A list of things is one of 16 listings of its kind: under a group or not, of
// one template or of all, in one state or in any, without the root or with it;
// and each of whole things or of brief ones.
type thingListing struct {
	kind                                    registry.Kind
	under, template, state, belowTop, brief bool
}

// keysListing lists the things that are named by their keys.
type keysListing struct {
	kind  registry.Kind
	brief bool
}

var listingsOfKeys = func() map[keysListing]listing {
	out := map[keysListing]listing{}
	for _, kind := range registry.Kinds {
		for _, brief := range []bool{false, true} {
			out[keysListing{kind, brief}] = listing{
				name:   noun(kind) + ".listOfKeys",
				match:  "MATCH (n:" + label(kind) + ") WHERE n.account = $account AND n.keyFold IN $keys AND ($template = '' OR n.templateFold = $template) AND ($state = '' OR n.state = $state)",
				prefix: "n.account, ", key: "n.keyFold", item: listedItem(kind, brief),
			}.registered()
		}
	}
	return out
}()

// listedItem is what a list returns of each thing.
func listedItem(kind registry.Kind, isBrief bool) string {
	switch {
	case !isBrief:
		return "{thing: " + thing("n") + "}"
	case kind == registry.KindGroup:
		return "{thing: " + brief("n") + "}"
	}
	return "{thing: " + briefTwin("n") + "}"
}

// briefTwin is the expression that returns a brief device or asset in the
// variable v.
func briefTwin(v string) string {
	return strings.ReplaceAll("[NODE.id, NODE.reference, NODE.description, NODE.state, [(NODE)-[:INSTANCE_OF]->(instanced) | instanced.id][0]]", "NODE", v)
}

// briefTwinOf reads what the expression briefTwin returned.
func briefTwinOf(f fields, kind registry.Kind, list []any) registry.Related {
	if len(list) < 5 {
		f.failed("%s: a brief %s of %d values", f.path, noun(kind), len(list))
		return nil
	}
	text := func(i int) string {
		text, ok := list[i].(string)
		if !ok {
			f.failed("%s: value %d of a brief %s is %v", f.path, i, noun(kind), list[i])
		}
		return text
	}
	var description *string
	if list[2] != nil {
		text := text(2)
		description = &text
	}
	object, state, template := registry.Object{ID: registry.ID(text(0))}, registry.State(text(3)), registry.ID(text(4))
	if kind == registry.KindDevice {
		return &registry.Device{Object: object, Reference: text(1), Description: description, State: state, TemplateID: template}
	}
	return &registry.Asset{Object: object, Reference: text(1), Description: description, State: state, TemplateID: template}
}

// listedThing reads what a list returned of a thing.
func listedThing[T registry.Related](kind registry.Kind, isBrief bool) func(fields) T {
	if !isBrief {
		return typedThing[T]
	}
	return func(f fields) T {
		var read registry.Related
		if list := f.list("thing"); kind == registry.KindGroup {
			read = briefGroup(f, list, "")
		} else {
			read = briefTwinOf(f, kind, list)
		}
		typed, ok := read.(T)
		if !ok {
			f.failed("%s: a thing is no %s", f.path, noun(kind))
		}
		return typed
	}
}

// thingListings are made once, so that their texts are known to be good.
var thingListings = func() map[thingListing]listing {
	out := map[thingListing]listing{}
	for _, kind := range registry.Kinds {
		for _, under := range []bool{false, true} {
			for _, template := range []bool{false, true} {
				for _, narrowed := range []bool{false, true} {
					for _, brief := range []bool{false, true} {
						l := thingListing{kind: kind, under: under, template: template, brief: brief}
						if kind == registry.KindGroup {
							l.belowTop = narrowed
						} else {
							l.state = narrowed
						}
						out[l] = l.listing().registered()
					}
				}
			}
		}
	}
	return out
}()

// thingCounts are the queries that count what a listing lists.
var thingCounts = func() map[string]query {
	out := map[string]query{}
	for of, l := range thingListings {
		if of.brief {
			continue // there are as many
		}
		out[l.name] = named(l.name+"Count", l.match+" AND n.keyFold IS NOT NULL\nRETURN count(DISTINCT n) AS n")
	}
	for of, l := range listingsOfKeys {
		if of.brief {
			continue
		}
		out[l.name] = named(l.name+"Count", l.match+"\nRETURN count(n) AS n")
	}
	return out
}()

func (l thingListing) listing() listing {
	name := noun(l.kind) + ".list"
	match := "MATCH (n:LABEL) WHERE n.account = $account"
	prefix := "n.account, "
	if l.under {
		name += "Under"
		prefix = ""
		if l.kind == registry.KindGroup {
			match = "MATCH (top:Group) WHERE top.account = $account AND top.keyFold = $under MATCH (top)<-[:CHILD_OF*1..32]-(n:LABEL) WHERE n.depth > 0"
		} else {
			match = "MATCH (top:Group) WHERE top.account = $account AND top.keyFold = $under MATCH (top)<-[:CHILD_OF*0..32]-(g:Group)<-[r:!WAS_RELATED]-(:LABEL)<-" + wholes + "-(n:LABEL) WHERE r.inherits IS NULL"
		}
	}
	if l.template {
		name += "OfTemplate"
		match += " AND n.templateFold = $template"
		if !l.under {
			prefix += "n.templateFold, "
		}
	}
	if l.state {
		name += "InState"
		match += " AND n.state = $state"
	}
	if l.belowTop {
		name += "BelowTop"
		match += " AND n.depth > 0"
	}
	return listing{
		name: name, match: strings.ReplaceAll(match, "LABEL", label(l.kind)), prefix: prefix, key: "n.keyFold",
		distinct: l.under, item: listedItem(l.kind, l.brief),
	}
}

// listingFor returns the listing of a filter and its parameters. Everything is
// under the root, but the root itself.
func listingFor(kind registry.Kind, f registry.Filter) (listing, params, error) {
	l, p := thingListing{kind: kind, template: f.Template != "", state: f.State != "" && kind != registry.KindGroup, brief: f.Brief}, params{}
	if f.Keys != nil {
		p["template"], p["state"], p["keys"] = Fold(f.Template), string(f.State), foldedKeys(kind, f.Keys)
		switch {
		case f.Under != "":
			return listing{}, nil, registry.InvalidField("under", "exclusive", "name the %ss or the group that they are under, not both", noun(kind))
		case len(f.Keys) > registry.MaxPage:
			return listing{}, nil, registry.LimitExceeded("name at most %d %ss", registry.MaxPage, noun(kind))
		}
		return listingsOfKeys[keysListing{kind, f.Brief}], p, nil
	}
	if f.Under != "" {
		under := Fold(cleanPath(f.Under))
		l.under = under != "/"
		l.belowTop = !l.under && kind == registry.KindGroup
		p["under"] = under
	}
	p["template"], p["state"] = Fold(f.Template), string(f.State)
	return thingListings[l], p, nil
}

func foldedKeys(kind registry.Kind, keys []string) []string {
	out := make([]string, len(keys))
	for i, key := range keys {
		if kind == registry.KindGroup {
			key = cleanPath(key)
		}
		out[i] = Fold(key)
	}
	return out
}

func listThings[T registry.Related](ctx context.Context, s *Store, scope registry.Scope, kind registry.Kind, f registry.Filter, page registry.PageRequest) (registry.Page[T], error) {
	if scope.AsOf != nil {
		return listPast[T](ctx, s, scope, kind, f, page)
	}
	l, p, err := listingFor(kind, f)
	if err != nil {
		return registry.Page[T]{}, err
	}
	out, err := pageWith(ctx, s.reading(scope), l, page, Fold(page.Key), p, listedThing[T](kind, f.Brief))
	if err == nil && len(out.Items) == 0 && f.Under != "" {
		// Nothing there, or no such group? Only an empty answer costs this look.
		_, err = s.GroupByPath(ctx, scope, f.Under)
	}
	if err != nil {
		return registry.Page[T]{}, fmt.Errorf("list %ss: %w", noun(kind), err)
	}
	return out, nil
}

func (s *Store) countThings(ctx context.Context, scope registry.Scope, kind registry.Kind, f registry.Filter) (int, error) {
	if scope.AsOf != nil {
		return s.countPast(ctx, scope, kind, f)
	}
	l, p, err := listingFor(kind, f)
	if err != nil {
		return 0, err
	}
	n, _, err := one(ctx, s.reading(scope), thingCounts[l.name], p, counted)
	if err != nil {
		return 0, fmt.Errorf("count %ss: %w", noun(kind), err)
	}
	return n, nil
}

// ListGroups returns groups by path.
func (s *Store) ListGroups(ctx context.Context, scope registry.Scope, f registry.Filter, page registry.PageRequest) (registry.Page[*registry.Group], error) {
	return listThings[*registry.Group](ctx, s, scope, registry.KindGroup, f, page)
}

// ListDevices returns devices by reference.
func (s *Store) ListDevices(ctx context.Context, scope registry.Scope, f registry.Filter, page registry.PageRequest) (registry.Page[*registry.Device], error) {
	return listThings[*registry.Device](ctx, s, scope, registry.KindDevice, f, page)
}

// ListAssets returns assets by reference.
func (s *Store) ListAssets(ctx context.Context, scope registry.Scope, f registry.Filter, page registry.PageRequest) (registry.Page[*registry.Asset], error) {
	return listThings[*registry.Asset](ctx, s, scope, registry.KindAsset, f, page)
}

// CountGroups counts what ListGroups lists.
func (s *Store) CountGroups(ctx context.Context, scope registry.Scope, f registry.Filter) (int, error) {
	return s.countThings(ctx, scope, registry.KindGroup, f)
}

// CountDevices counts what ListDevices lists.
func (s *Store) CountDevices(ctx context.Context, scope registry.Scope, f registry.Filter) (int, error) {
	return s.countThings(ctx, scope, registry.KindDevice, f)
}

// CountAssets counts what ListAssets lists.
func (s *Store) CountAssets(ctx context.Context, scope registry.Scope, f registry.Filter) (int, error) {
	return s.countThings(ctx, scope, registry.KindAsset, f)
}
