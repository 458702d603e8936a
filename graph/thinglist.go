package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// A list of things is one of 16 listings of its kind: under a group or not, of
// one template or of all, in one state or in any, without the root or with it.
type thingListing struct {
	kind                             registry.Kind
	under, template, state, belowTop bool
}

// thingListings are made once, so that their texts are known to be good.
var thingListings = func() map[thingListing]listing {
	out := map[thingListing]listing{}
	for _, kind := range registry.Kinds {
		for _, under := range []bool{false, true} {
			for _, template := range []bool{false, true} {
				for _, narrowed := range []bool{false, true} {
					l := thingListing{kind: kind, under: under, template: template}
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
	return out
}()

var thingCounts = func() map[thingListing]query {
	out := map[thingListing]query{}
	for l, of := range thingListings {
		out[l] = named(of.name+"Count", of.match+" AND n.keyFold IS NOT NULL\nRETURN count(DISTINCT n) AS n")
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
			match = "MATCH (top:Group) WHERE top.account = $account AND top.keyFold = $under MATCH (top)<-[:CHILD_OF*0..32]-(g:Group)<-[r:!WAS_RELATED]-(n:LABEL) WHERE r.inherits IS NULL"
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
		distinct: l.under, item: "{thing: " + thing("n") + "}",
	}
}

// listingFor returns the listing of a filter and its parameters. Everything is
// under the root, but the root itself.
func listingFor(kind registry.Kind, f registry.Filter) (thingListing, params) {
	l, p := thingListing{kind: kind, template: f.Template != "", state: f.State != "" && kind != registry.KindGroup}, params{}
	if f.Under != "" {
		under := Fold(cleanPath(f.Under))
		l.under = under != "/"
		l.belowTop = !l.under && kind == registry.KindGroup
		p["under"] = under
	}
	p["template"], p["state"] = Fold(f.Template), string(f.State)
	return l, p
}

func listThings[T registry.Related](ctx context.Context, s *Store, scope registry.Scope, kind registry.Kind, f registry.Filter, page registry.PageRequest) (registry.Page[T], error) {
	l, p := listingFor(kind, f)
	out, err := pageWith(ctx, s.reading(scope), thingListings[l], page, Fold(page.Key), p, typedThing[T])
	if err == nil && len(out.Items) == 0 && l.under {
		// Nothing there, or no such group? Only an empty answer costs this look.
		_, err = s.GroupByPath(ctx, scope, f.Under)
	}
	if err != nil {
		return registry.Page[T]{}, fmt.Errorf("list %ss: %w", noun(kind), err)
	}
	return out, nil
}

func (s *Store) countThings(ctx context.Context, scope registry.Scope, kind registry.Kind, f registry.Filter) (int, error) {
	l, p := listingFor(kind, f)
	n, _, err := one(ctx, s.reading(scope), thingCounts[l], p, counted)
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
