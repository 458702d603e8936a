package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// inherited gives the policies of the device d, most specific first.
const inherited = `COLLECT {
		MATCH (d)-[:LOCATED_AT|SUPPLIED_BY|OPERATED_BY]->() (()-[:CHILD_OF]->()){0,32} (g:Group)<-[:APPLIES_TO]-(p:Policy)
		WITH DISTINCT p, g
		WITH p, count(g) AS reached WHERE reached = p.groupCount
		WITH p ORDER BY p.deepest DESC, p.depthSum DESC, p.keyFold
		RETURN POLICY
	}`

const (
	policiesQuery  = `query($key: String!) { device(reference: $key) { policies { reference } } }`
	policiesCypher = `
	MATCH (d:Device) WHERE d.account = $account AND d.keyFold = $key
	WITH d, ` + inherited + ` AS policies
	RETURN {device: {policies: policies}}`

	storePoliciesCypher = `
	MATCH (d:Entity {id: $key}) WHERE d.account = $account
	WITH d, ` + inherited + ` AS policies
	RETURN policies`

	pageOf       = `query($after: String) { devices(first: 100, after: $after) { nodes { FIELDS } } }`
	pageOfCypher = `
	MATCH (d:Device) WHERE d.account = $account AND d.keyFold > $key
	WITH d ORDER BY d.account, d.keyFold LIMIT 100
	WITH d, ` + inherited + ` AS policies
	RETURN {devices: {nodes: collect({FIELD: policies})}}`

	searchWhere  = `attributes.floor < 10 and attributes.firmware in ['F001', 'F002', 'F003']`
	searchCypher = `
	MATCH (top:Group) WHERE top.account = $account AND top.keyFold = $key
	MATCH (top)<-[:CHILD_OF*0..32]-(:Group)<-[:LOCATED_AT|SUPPLIED_BY|OPERATED_BY]-(d:Device)
	WHERE d.floor < 10 AND d.firmware IN ['F001', 'F002', 'F003']
	WITH DISTINCT d
	WITH collect(d) AS found
	CALL (found) { UNWIND found AS d WITH d.firmware AS value, count(*) AS n ORDER BY n DESC, value RETURN collect([value, n]) AS firmware }
	CALL (found) { UNWIND found AS d WITH d.floor AS value, count(*) AS n ORDER BY n DESC, value RETURN collect([value, n]) AS floor }
	CALL (found) { UNWIND found AS d WITH d ORDER BY d.keyFold LIMIT 50 RETURN collect(d.reference) AS first }
	RETURN {total: size(found), firmware: firmware, floor: floor, first: first}`
)

// addStructure adds what is asked of policies and sub-trees.
func (r *runner) addStructure(ctx context.Context) error {
	r.making.raw = map[int][]sample{}
	for range makingSessions {
		to, err := r.copyOfGroups(ctx)
		if err != nil {
			return fmt.Errorf("copy the groups: %w", err)
		}
		r.copies = append(r.copies, to)
	}
	if err := r.addReads(ctx, r.storeQuestions); err != nil {
		return err
	}
	return r.addReads(ctx, r.policyQuestions, 1, 16)
}

// some picks the devices that are asked about.
func (r *runner) some() []*device {
	var out []*device
	for _, i := range r.fleet.random.Perm(len(r.fleet.devices))[:min(1000, len(r.fleet.devices))] {
		out = append(out, r.fleet.devices[i])
	}
	return out
}

// storeQuestions are asked of the store itself.
func (r *runner) storeQuestions(context.Context) ([]*question, error) {
	devices := r.some()
	policies := &question{name: "store: policies of a device", cypher: strings.ReplaceAll(storePoliciesCypher, "POLICY", "p.reference")}
	for _, d := range devices {
		policies.params = append(policies.params, map[string]any{"account": string(r.Scope.Account), "key": string(d.id)})
	}
	policies.call = func(ctx context.Context, which int) (any, error) {
		lists, err := r.Graph.InheritedPolicies(ctx, r.Scope, []registry.ID{devices[which].id}, nil)
		if err != nil {
			return nil, err
		}
		references := make([]string, len(lists[0]))
		for i, p := range lists[0] {
			references[i] = p.Reference
		}
		return references, nil
	}
	search := &question{name: "store: search a sub-tree, 2 facets", cypher: searchCypher}
	paths := r.fleet.groups[0][1 : 1+fan]
	for _, path := range paths {
		search.params = append(search.params, map[string]any{"account": string(r.Scope.Account), "key": path})
	}
	search.call = func(ctx context.Context, which int) (any, error) { return r.search(ctx, paths[which]) }
	return []*question{policies, search}, nil
}

// search asks for a page, the total and two facets.
func (r *runner) search(ctx context.Context, under string) (any, error) {
	s := registry.Search{Kinds: []registry.Kind{registry.KindDevice}, Under: under, Where: searchWhere}
	page, summary, err := r.Graph.SearchAndSummarize(ctx, r.Scope, s, registry.PageRequest{Size: 50}, []registry.FacetRequest{
		{Field: "attributes.firmware", First: 100}, {Field: "attributes.floor", First: 100},
	})
	if err != nil {
		return nil, err
	}
	first := make([]string, len(page.Items))
	for i, found := range page.Items {
		first[i] = found.Thing.(*registry.Device).Reference
	}
	facets := make([][]any, len(summary.Facets))
	for i, facet := range summary.Facets {
		facets[i] = []any{}
		for _, value := range facet {
			facets[i] = append(facets[i], []any{value.Value, value.Count})
		}
	}
	return map[string]any{"total": summary.Total, "firmware": facets[0], "floor": facets[1], "first": first}, nil
}

// policyQuestions are about inherited policies, by GraphQL.
func (r *runner) policyQuestions(ctx context.Context) ([]*question, error) {
	one := &question{name: "a device's policies", cypher: strings.ReplaceAll(policiesCypher, "POLICY", "p {.reference}")}
	for _, d := range r.some() {
		r.about(one, policiesQuery, d.reference, d.reference)
	}
	questions := []*question{one}
	cursors, err := r.cursors(ctx, min(20, len(r.fleet.devices)/100))
	if err != nil {
		return nil, err
	}
	for _, form := range []struct{ name, fields, field, policy string }{
		{"100 devices, policies {reference}", "policies { reference }", "policies", "p {.reference}"},
		{"100 devices, policies {id reference type}", "policies { id reference type }", "policies", "p {.id, .reference, .type}"},
		{"100 devices, policyReferences", "policyReferences", "policyReferences", "p.reference"},
	} {
		page := &question{name: form.name, cypher: strings.NewReplacer("POLICY", form.policy, "FIELD", form.field).Replace(pageOfCypher)}
		for i, cursor := range cursors {
			key, after := "", any(nil)
			if i > 0 {
				key, after = r.fleet.devices[100*i-1].reference, cursor
			}
			r.about(page, strings.ReplaceAll(pageOf, "FIELDS", form.fields), key, after)
		}
		questions = append(questions, page)
	}
	return questions, nil
}
