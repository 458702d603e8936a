package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// pastSearch is a search as of a moment. Keys and places lead to what may be
// found; what it is like is decided here, object by object.
type pastSearch struct {
	*Store
	scope  registry.Scope
	search registry.Search
	keys   map[registry.Kind][]string
	where  *rule.Rule
	words  []string
	around *neighbourhood
	// plan checks what goes beside the rule, and reads cursors.
	plan *searchPlan
	// readers are of the fields that it is ordered by.
	readers []*rule.FieldReader
}

func (s *Store) newPastSearch(scope registry.Scope, search registry.Search) (*pastSearch, error) {
	out := &pastSearch{Store: s, scope: scope, search: search, around: s.neighbourhood(scope), plan: &searchPlan{params: params{}}}
	if search.Where != "" {
		var err error
		if out.where, err = rule.Parse(search.Where); err != nil {
			return nil, err
		}
		if out.where.NeedsMeasures() {
			return nil, registry.InvalidField("where", "unsupported", "newest values are not asked as of a moment: ask the object as it is now for measurements, from and to a time")
		}
	}
	if err := out.plan.orderBy(search, true); err != nil {
		return nil, err
	}
	if err := out.plan.narrow(scope, search); err != nil {
		return nil, err
	}
	out.words = wordsOf(search.Text)
	for i, by := range search.OrderBy {
		reader, err := rule.NewFieldReader(by.Field, fmt.Sprintf("orderBy[%d].field", i), 0)
		if err != nil {
			return nil, err
		}
		out.readers = append(out.readers, reader)
	}
	for _, kind := range searchedKinds(search) {
		out.plan.parts = append(out.plan.parts, searchPart{kind: kind})
	}
	if len(out.plan.parts) == 0 {
		return nil, registry.InvalidField("kind", "enum", "members are devices and assets: for groups ask for children")
	}
	return out, nil
}

// filtered is the search of a list.
func (s *Store) filtered(scope registry.Scope, kind registry.Kind, f registry.Filter) (*pastSearch, error) {
	search := registry.Search{Kinds: []registry.Kind{kind}, Under: f.Under, State: f.State}
	if f.Template != "" {
		search.Templates = []string{f.Template}
	}
	out, err := s.newPastSearch(scope, search)
	switch {
	case err != nil || f.Keys == nil:
		return out, err
	case f.Under != "":
		return nil, registry.InvalidField("under", "exclusive", "name the %ss or the group that they are under, not both", noun(kind))
	case len(f.Keys) > registry.MaxPage:
		return nil, registry.LimitExceeded("name at most %d %ss", registry.MaxPage, noun(kind))
	}
	keys := foldedKeys(kind, f.Keys)
	slices.Sort(keys)
	out.keys = map[registry.Kind][]string{kind: slices.Compact(keys)}
	return out, nil
}

// source is where the things of a kind come from.
func (p *pastSearch) source(ctx context.Context, kind registry.Kind, backward bool) (source, error) {
	keys, named := p.keys[kind]
	under := cleanPath(p.search.Under)
	var places []keyedID
	var err error
	switch {
	case p.search.Members != nil && p.search.Members.Children:
		places, err = p.childPlaces(ctx, p.search.Members.Group)
	case p.search.Members != nil:
		places, err = p.memberPlaces(ctx, *p.search.Members, &kind)
		for i := range places {
			_, places[i].key, _ = strings.Cut(places[i].key, "/")
		}
	case kind == registry.KindGroup:
		places, err = p.groupPlaces(ctx, keys, named)
	case named:
		found, wrong := p.pastWithKeys(ctx, p.scope, registry.ObjectKind(kind), keys)
		for _, item := range found {
			places = append(places, keyedID{item.node.NodeID(), item.key})
		}
		err = wrong
	case p.search.Under == "" || under == "/":
		return p.walkKeys(p.scope, registry.ObjectKind(kind), backward), nil
	default:
		places, err = p.placesUnder(ctx, kind)
	}
	return p.walkPlaces(p.scope, places, backward), err
}

// groupPlaces are groups by path: those below a group, those that are named, or
// all.
func (p *pastSearch) groupPlaces(ctx context.Context, keys []string, named bool) ([]keyedID, error) {
	top, err := p.pastGroupID(ctx, p.scope, p.search.Under)
	if err != nil {
		return nil, err
	}
	above := cleanPath(p.search.Under)
	if above == "/" {
		above = ""
	}
	places, err := p.pastPlaces(ctx, p.scope, pastTree, "groups", above, params{"id": string(top)})
	for i := range places {
		places[i].key = cleanPath(places[i].key)
	}
	return slices.DeleteFunc(places, func(place keyedID) bool {
		if named {
			_, wanted := slices.BinarySearch(keys, place.key)
			return !wanted
		}
		return place.id == top && p.search.Under != "" && !p.search.IncludeSelf
	}), err
}

// placesUnder are the twins in a sub-tree, and the devices that were linked with
// assets there.
func (p *pastSearch) placesUnder(ctx context.Context, kind registry.Kind) ([]keyedID, error) {
	top, err := p.pastGroupID(ctx, p.scope, p.search.Under)
	if err != nil {
		return nil, err
	}
	places, err := p.pastPlaces(ctx, p.scope, pastUnder, "things", "", params{"id": string(top), "kind": string(kind)})
	if err != nil || kind != registry.KindDevice || !p.search.IncludeLinked {
		return places, err
	}
	assets, err := p.pastPlaces(ctx, p.scope, pastUnder, "things", "", params{"id": string(top), "kind": string(registry.KindAsset)})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(assets))
	for i, asset := range assets {
		ids[i] = string(asset.id)
	}
	linked, err := p.pastPlaces(ctx, p.scope, pastLinked, "things", "", params{"ids": ids})
	places = append(places, linked...)
	slices.SortFunc(places, func(a, b keyedID) int { return strings.Compare(a.key, b.key) })
	return slices.Compact(places), err
}

// keep leaves of some objects those that the search is for.
func (p *pastSearch) keep(ctx context.Context, items []keyed) ([]keyed, error) {
	var things []registry.Related
	var of []keyed
	for _, item := range items {
		if thing, ok := item.node.(registry.Related); ok && (p.search.State == "" || lifeOf(thing) == p.search.State) {
			things, of = append(things, thing), append(of, item)
		}
	}
	if p.where == nil && len(p.search.Templates) == 0 && len(p.words) == 0 {
		return of, nil
	}
	var reaches []*rule.Reach
	if p.where != nil {
		reaches = p.where.Reaches()
	}
	objects, err := p.around.objects(ctx, things, reaches)
	if err != nil {
		return nil, err
	}
	var kept []keyed
	for i, object := range objects {
		ofTemplate := func(name string) bool { return Fold(name) == Fold(p.around.names[templateIDOf(things[i])]) }
		if (len(p.search.Templates) == 0 || slices.ContainsFunc(p.search.Templates, ofTemplate)) &&
			(p.where == nil || p.where.Match(object)) && (len(p.words) == 0 || wordScore(object, p.words) > 0) {
			kept = append(kept, of[i])
		}
	}
	return kept, nil
}

// plain says that everything that the sources hold is found.
func (p *pastSearch) plain() bool {
	return p.where == nil && len(p.search.Templates) == 0 && len(p.words) == 0 && p.search.State == ""
}

func lifeOf(thing registry.Related) registry.State {
	switch t := thing.(type) {
	case *registry.Device:
		return t.State
	case *registry.Asset:
		return t.State
	}
	return ""
}

// wordScore tells how well words fit what describes an object: 0 if one of them
// is neither a word of it nor the beginning of one.
func wordScore(object rule.Object, words []string) float64 {
	var own []string
	for _, field := range []rule.Field{rule.FieldReference, rule.FieldPath, rule.FieldName, rule.FieldDescription} {
		text, _ := object.Field(field).(string)
		own = append(own, wordsOf(text)...)
	}
	own = append(own, attributeWords(object.Attributes())...)
	score := 0.0
	for _, word := range words {
		best := bestAmong(own, word)
		if best == 0 {
			if best = bestOfPieces(own, piecesOf(word)); best == 0 {
				return 0
			}
		}
		score += best
	}
	return score
}

// bestAmong tells how well a word fits the one among others that it fits best.
func bestAmong(own []string, word string) float64 {
	best := 0.0
	for _, is := range own {
		switch {
		case is == word:
			return 4
		case strings.HasPrefix(is, word):
			best = 1
		}
	}
	return best
}

// bestOfPieces tells the same of all that a word is made of, 0 if one is missing.
func bestOfPieces(own, pieces []string) float64 {
	sum := 0.0
	for _, piece := range pieces {
		best := bestAmong(own, piece)
		if best == 0 {
			return 0
		}
		sum += best
	}
	return sum
}

// attributeWords are the words of the texts among attributes.
func attributeWords(value any) []string {
	var out []string
	switch v := value.(type) {
	case string:
		return wordsOf(v)
	case []any:
		for _, item := range v {
			out = append(out, attributeWords(item)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, attributeWords(v[name])...)
		}
	}
	return out
}
