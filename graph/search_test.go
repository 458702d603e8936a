package graph_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// building is a world to search in: two sites, rooms, devices and assets.
func newBuilding(t *testing.T) world {
	w := newWorld(t)
	w.template(registry.NewTemplate{
		Kind: registry.KindDevice, Name: "Meter",
		Properties: map[string]any{"size": map[string]any{}, "serial": map[string]any{}, "tags": map[string]any{}, "text": map[string]any{}},
		Relations:  []registry.RelationRule{{Name: "located_at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}, {Name: "fed_by", Direction: registry.DirectionOut, Kind: registry.KindAsset}},
	})
	w.groups("/north/1", "/north/2", "/south/1")
	for i, path := range []string{"/north", "/north/1", "/north/2", "/south/1"} {
		must(w.UpdateGroup(w.Context(), w.scope, group(path), registry.TwinPatch{Attributes: registry.Attributes{"floor": i, "colour": []string{"red", "blue"}[i%2]}}))
	}
	for _, name := range []string{"Panel-1", "Panel-2"} {
		must(w.CreateAsset(w.Context(), w.scope, registry.NewTwin{Reference: name, Relations: locatedAt("/south/1"), Description: new("Switchboard in the cellar")}))
	}
	for i := range 10 {
		n := registry.NewTwin{
			Reference: fmt.Sprintf("Meter-%02d", i), Template: "meter", Relations: locatedAt([]string{"/north/1", "/north/2", "/south/1"}[i%3]),
			Attributes: registry.Attributes{"size": []any{1, 2.5, "big", true, nil}[i%5], "serial": fmt.Sprintf("S%d", i/2), "tags": []any{"even", "odd"}[i%2:], "text": "Ein Zähler"},
		}
		if i%2 == 1 {
			n.Relations = append(n.Relations, registry.NewRelation{Name: "fed_by", To: []registry.Ref{{Kind: registry.KindAsset, Key: fmt.Sprintf("panel-%d", 1+i%4/2)}}})
			n.State = registry.StateRetired
		}
		must(w.CreateDevice(w.Context(), w.scope, n))
	}
	return w
}

// search returns the keys of all that a search finds.
func (w world) search(s registry.Search) []string {
	w.Helper()
	found, err := w.Search(w.Context(), w.scope, s, registry.PageRequest{Size: 1000})
	if err != nil {
		w.Fatalf("%+v: %v", s, err)
	}
	out := []string{}
	for _, f := range found.Items {
		out = append(out, keyOf(f.Thing))
	}
	return out
}

// pages fails if paging in small pages either way finds anything else, or
// counting another number.
func (w world) pages(s registry.Search, all []string) {
	w.Helper()
	keys := func(page registry.PageRequest) ([]string, registry.Page[registry.Found]) {
		found, err := w.Search(w.Context(), w.scope, s, page)
		if err != nil {
			w.Fatalf("%+v: %v", s, err)
		}
		// The same page, with the number of all.
		again, summary, err := w.SearchAndSummarize(w.Context(), w.scope, s, page, nil)
		if diff := cmp.Diff(found, again); diff != "" || err != nil || summary.Total != len(all) {
			w.Errorf("%+v counts %d, %v, want %d\n(-alone +counted)\n%s", s, summary.Total, err, len(all), diff)
		}
		out := []string{}
		for _, f := range found.Items {
			out = append(out, keyOf(f.Thing))
		}
		return out, found
	}
	forward, backward := []string{}, []string{}
	for request := (registry.PageRequest{Size: 3}); ; {
		some, page := keys(request)
		forward = append(forward, some...)
		if !page.HasNext {
			break
		}
		request.Key = page.Items[len(page.Items)-1].Key
	}
	for request := (registry.PageRequest{Size: 4, Backward: true}); ; {
		some, page := keys(request)
		backward = append(some, backward...)
		if !page.HasPrevious {
			break
		}
		request.Key = page.Items[0].Key
	}
	if !slices.Equal(all, forward) || !slices.Equal(all, backward) {
		w.Errorf("%+v\nfound    %q\nforward  %q\nbackward %q", s, all, forward, backward)
	}
	if summary, err := w.Summarize(w.Context(), w.scope, s, nil); err != nil || summary.Total != len(all) {
		w.Errorf("%+v counts %d, %v, want %d", s, summary.Total, err, len(all))
	}
}

func keyOf(thing registry.Related) string {
	switch t := thing.(type) {
	case *registry.Group:
		return t.Path
	case *registry.Device:
		return t.Reference
	case *registry.Asset:
		return t.Reference
	}
	return ""
}

func meters(numbers ...int) []string {
	out := []string{}
	for _, n := range numbers {
		out = append(out, fmt.Sprintf("Meter-%02d", n))
	}
	return out
}

func TestSearch(t *testing.T) {
	w := newBuilding(t)
	groups, devices, assets := []registry.Kind{registry.KindGroup}, []registry.Kind{registry.KindDevice}, []registry.Kind{registry.KindAsset}
	ascending, descending := registry.SortAscending, registry.SortDescending
	order := func(field string, direction registry.SortDirection) []registry.OrderBy {
		return []registry.OrderBy{{Field: field, Direction: direction}}
	}
	for name, c := range map[string]struct {
		search registry.Search
		want   []string
	}{
		"everything":         {registry.Search{}, slices.Concat([]string{"/", "/north", "/north/1", "/north/2", "/south", "/south/1"}, meters(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), []string{"Panel-1", "Panel-2"})},
		"below the root":     {registry.Search{Under: "/", Kinds: groups}, []string{"/north", "/north/1", "/north/2", "/south", "/south/1"}},
		"the root itself":    {registry.Search{Under: "/", Kinds: groups, IncludeSelf: true, Where: "depth < 1"}, []string{"/"}},
		"under a group":      {registry.Search{Under: "/North"}, slices.Concat([]string{"/north/1", "/north/2"}, meters(0, 1, 3, 4, 6, 7, 9))},
		"the group itself":   {registry.Search{Under: "/north", IncludeSelf: true, Kinds: groups}, []string{"/north", "/north/1", "/north/2"}},
		"a rule":             {registry.Search{Where: "state == 'retired'"}, meters(1, 3, 5, 7, 9)},
		"a rule for all":     {registry.Search{Where: "attributes.floor >= 1 or state == 'active' and kind == 'asset'"}, []string{"/north/1", "/north/2", "/south/1", "Panel-1", "Panel-2"}},
		"by key":             {registry.Search{Where: "reference in ['METER-01', 'panel-2', '/north']"}, []string{"Meter-01", "Panel-2"}},
		"a key and under":    {registry.Search{Where: "reference startsWith 'METER-0' and version >= 1", Under: "/south"}, meters(2, 5, 8)},
		"an expression":      {registry.Search{Where: "reference matches '^meter-0[2-4]$' and state == 'active'"}, meters(2, 4)},
		"not an expression":  {registry.Search{Kinds: devices, Where: "not (reference matches '[2-9]$')"}, meters(0, 1)},
		"either expression":  {registry.Search{Kinds: devices, Where: "reference matches '0$' or attributes.text matches 'Z.*x' or attributes.serial matches '^S4$'"}, meters(0, 8, 9)},
		"by a relation":      {registry.Search{Where: "any(relations.fed_by, .reference == 'PANEL-1')"}, meters(1, 5, 9)},
		"by an inverse":      {registry.Search{Where: "any(inverse.fed_by, .reference == 'Meter-03')"}, []string{"Panel-2"}},
		"by a group":         {registry.Search{Where: "'/south/1' in groups", Kinds: devices}, meters(2, 5, 8)},
		"by a group's value": {registry.Search{Where: "any(relations.located_at, .attributes.colour == 'red')", Kinds: devices}, meters(1, 4, 7)},
		"a template":         {registry.Search{Templates: []string{"METER"}, Where: "attributes.size > 1"}, meters(1, 6)},
		"templates":          {registry.Search{Templates: []string{"open", "meter"}, Where: "reference endsWith '-1'"}, []string{"Panel-1"}},
		"a state":            {registry.Search{Kinds: devices, State: registry.StateRetired, Under: "/south/1"}, meters(5)},
		"ordered":            {registry.Search{Kinds: devices, OrderBy: order("attributes.size", ascending)}, meters(0, 5, 1, 6, 2, 7, 3, 8, 4, 9)},
		"ordered down":       {registry.Search{Kinds: devices, OrderBy: order("attributes.size", descending)}, meters(1, 6, 0, 5, 2, 7, 3, 8, 4, 9)},
		"ordered by lists":   {registry.Search{Kinds: devices, OrderBy: order("attributes.tags", descending)}, meters(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)},
		"ordered twice": {registry.Search{Kinds: devices, OrderBy: []registry.OrderBy{{Field: "state", Direction: descending}, {Field: "reference", Direction: descending}}},
			meters(9, 7, 5, 3, 1, 8, 6, 4, 2, 0)},
		"ordered by time":      {registry.Search{Kinds: devices, OrderBy: order("createdAt", descending)}, meters(9, 8, 7, 6, 5, 4, 3, 2, 1, 0)},
		"kinds ordered":        {registry.Search{Under: "/south", OrderBy: order("reference", descending)}, []string{"Panel-2", "Panel-1", "Meter-08", "Meter-05", "Meter-02", "/south/1"}},
		"nothing":              {registry.Search{Where: "false"}, []string{}},
		"nothing under":        {registry.Search{Under: "/north/1", Kinds: assets}, []string{}},
		"members":              {registry.Search{Members: &registry.Members{Group: must(w.GroupByPath(w.Context(), w.scope, "/south")).ID, Deep: true}, Where: "state == 'active'"}, slices.Concat(meters(2, 8), []string{"Panel-1", "Panel-2"})},
		"members by relation":  {registry.Search{Members: &registry.Members{Group: must(w.GroupByPath(w.Context(), w.scope, "/south/1")).ID, Relation: "located_at"}, Kinds: devices}, meters(2, 5, 8)},
		"members, key":         {registry.Search{Members: &registry.Members{Group: must(w.GroupByPath(w.Context(), w.scope, "/south/1")).ID}, Where: "reference == 'meter-02'"}, meters(2)},
		"no members of others": {registry.Search{Members: &registry.Members{Group: must(w.GroupByPath(w.Context(), w.scope, "/north")).ID}}, []string{}},
	} {
		if diff := cmp.Diff(c.want, w.search(c.search)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if slices.Contains([]string{"everything", "under a group", "ordered", "ordered down", "ordered twice", "kinds ordered", "an expression"}, name) {
			w.pages(c.search, c.want)
		}
	}
}

// What is linked with an asset in a sub-tree may be included.
func TestSearchIncludesLinked(t *testing.T) {
	w := newBuilding(t)
	for i, asset := range []string{"Panel-1", "Panel-2"} {
		w.link(fmt.Sprintf("Meter-%02d", i), asset)
	}
	s := registry.Search{Kinds: []registry.Kind{registry.KindDevice}, Under: "/south", IncludeLinked: true}
	if diff := cmp.Diff(meters(0, 1, 2, 5, 8), w.search(s)); diff != "" {
		t.Error(diff)
	}
	s.Where = "reference == 'meter-01' or reference == 'meter-03'"
	if diff := cmp.Diff(meters(1), w.search(s)); diff != "" {
		t.Error(diff)
	}
	s.Where = "reference in ['meter-01', 'meter-03']"
	if diff := cmp.Diff(meters(1), w.search(s)); diff != "" {
		t.Error(diff)
	}
}

func TestFacets(t *testing.T) {
	w := newBuilding(t)
	s := registry.Search{Kinds: []registry.Kind{registry.KindDevice}}
	ends := func(from, to float64) registry.FloatRange { return registry.FloatRange{From: &from, To: &to} }
	summary, err := w.Summarize(w.Context(), w.scope, s, []registry.FacetRequest{
		{Field: "state", First: 10}, {Field: "attributes.tags", First: 10}, {Field: "relations.located_at.path", First: 10}, {Field: "relations.fed_by.relations.located_at.name", First: 10},
		{Field: "template", First: 10}, {Field: "attributes.size", Ranges: []registry.FloatRange{ends(0, 2), ends(2, 9), {}}}, {Field: "attributes.serial", First: 2}, {Field: "groups.attributes.colour", First: 10},
		{Field: "kind", First: 10}, {Field: "version", First: 10}, {Field: "attributes.none", First: 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := func(facets []registry.Facet) string {
		out := ""
		for _, f := range facets {
			out += fmt.Sprintf("%v:%d ", f.Value, f.Count)
		}
		return out
	}
	want := []string{
		"ACTIVE:5 RETIRED:5 ", "odd:10 even:5 ", "/north/1:4 /north/2:3 /south/1:3 ", "1:5 ", "Meter:10 ", "<nil>:2 <nil>:2 <nil>:4 ", "S0:2 S1:2 ", "blue:7 red:3 ", "DEVICE:10 ", "1:10 ", "",
	}
	got := []string{}
	for _, facets := range summary.Facets {
		got = append(got, text(facets))
	}
	if diff := cmp.Diff(want, got); diff != "" || summary.Total != 10 {
		t.Errorf("%d in all (-want +got):\n%s", summary.Total, diff)
	}
	for _, field := range []string{"x", "relations.a.relations.b.relations.c.relations.d.path", "relations.über.path", "attributes", "state.x", "attributes.a`b"} {
		_, err := w.Summarize(w.Context(), w.scope, s, []registry.FacetRequest{{Field: field, First: 1}})
		violates(t, err, "field", "field")
	}
}

// Words are found once the index has caught up, best first, of the own account
// only.
func TestSearchForWords(t *testing.T) {
	w := newBuilding(t)
	other := newOther(w)
	must(other.CreateAsset(w.Context(), other.scope, registry.NewTwin{Reference: "Panel-1", Description: new("Switchboard in the cellar")}))
	if err := w.AwaitWords(w.Context()); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"switchboard": {"Panel-1", "Panel-2"}, "switch CELLAR": {"Panel-1", "Panel-2"}, "switch attic": {}, "panel-2": {"Panel-2"},
		"zähler s3": meters(6, 7), "north": {"/north"}, `+(zähler) AND "s3"`: {},
	} {
		got := w.search(registry.Search{Text: text})
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	page := must(w.Search(w.Context(), w.scope, registry.Search{Text: "zähler", Where: "state == 'active'", Under: "/north", OrderBy: []registry.OrderBy{{Field: "reference", Direction: registry.SortDescending}}}, registry.PageRequest{Size: 10}))
	if len(page.Items) != 3 || keyOf(page.Items[0].Thing) != "Meter-06" || page.Items[0].Score != nil {
		t.Errorf("found %+v", page.Items)
	}
	page = must(w.Search(w.Context(), w.scope, registry.Search{Text: "cellar"}, registry.PageRequest{Size: 10}))
	if len(page.Items) != 2 || page.Items[0].Score == nil || *page.Items[0].Score <= 0 {
		t.Errorf("found %+v", page.Items)
	}
}

// A search that follows a write sees it.
func TestSearchSeesWrites(t *testing.T) {
	w := newBuilding(t)
	s := registry.Search{Where: "attributes.serial == 'new'"}
	for i := range 5 {
		must(w.UpdateDevice(w.Context(), w.scope, device(meters(i)[0]), registry.TwinPatch{Attributes: registry.Attributes{"serial": "new"}}))
		if got := w.search(s); len(got) != i+1 {
			t.Fatalf("found %q after %d writes", got, i+1)
		}
	}
}

func TestSearchRefuses(t *testing.T) {
	w := newBuilding(t)
	for path, searches := range map[string][]registry.Search{
		"where":            {{Where: "state ="}, {Where: "any(relations.r, .name matches 'x')"}},
		"orderBy[0].field": {{OrderBy: []registry.OrderBy{{Field: "relations.r.path"}}}, {OrderBy: []registry.OrderBy{{Field: "x"}}}},
		"orderBy":          {{OrderBy: make([]registry.OrderBy, 5)}},
		"text":             {{Text: "+-"}, {Text: "a b c d e f g h i j k l m n o p q r s t"}},
		"under":            {{IncludeSelf: true}},
	} {
		for _, s := range searches {
			_, err := w.Search(w.Context(), w.scope, s, registry.PageRequest{Size: 1})
			if e, ok := errors.AsType[*registry.Error](err); !ok || e.Code != registry.CodeInvalid || e.Field != path {
				t.Errorf("%+v: %v, want INVALID at %s", s, err, path)
			}
		}
	}
	_, err := w.Search(w.Context(), w.scope, registry.Search{Under: "/nowhere"}, registry.PageRequest{Size: 1})
	refused(t, err, registry.CodeNotFound, "/nowhere")
}

// link links a device with an asset by a measure of both.
func (w world) link(reference, asset string) {
	w.Helper()
	if _, err := w.Cypher(w.Context(), w.scope, `
		MATCH (d:Device) WHERE d.account = $account AND d.reference = $device AND d.keyFold IS NOT NULL
		MATCH (a:Asset) WHERE a.account = $account AND a.reference = $asset AND a.keyFold IS NOT NULL
		CREATE (d)-[:LINKED_TO {id: randomUUID(), since: 0, deviceMeasures: ['t'], assetMeasures: ['t']}]->(a)`, map[string]any{"device": reference, "asset": asset}); err != nil {
		w.Fatal(err)
	}
}
