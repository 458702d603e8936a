package bench

import (
	"context"
	"encoding/json"
)

// question is something to read, in GraphQL and in Cypher.
type question struct {
	name string
	// cypher is empty where plain Cypher has nothing that asks for the same.
	cypher string
	// params and requests are about the same objects, slot by slot.
	params   []map[string]any
	requests [][]byte
	// call asks the store, without GraphQL, about the object of a slot; nil if
	// there are requests.
	call func(ctx context.Context, which int) (any, error)
	// bytes is how large an answer is; graphTrips is how many round trips to the
	// graph GraphQL takes for it.
	bytes, graphTrips int
}

const (
	deviceQuery = `query($key: String!) {
	device(reference: $key) {
		id reference description state attributes version
		template { name version }
		groups { path name depth }
	}
}`
	deviceCypher = `
	MATCH (d:Device) WHERE d.account = $account AND d.keyFold = $key
	MATCH (d)-[:INSTANCE_OF]->(t)
	RETURN {device: {
		id: d.id, reference: d.reference, description: d.description, state: d.state, version: d.version,
		attributes: {firmware: d.firmware, floor: d.floor}, template: {name: t.name, version: t.version},
		groups: COLLECT { MATCH (d)-[:LOCATED_AT|SUPPLIED_BY|OPERATED_BY]->(g:Group) RETURN {path: g.path, name: g.name, depth: g.depth} ORDER BY g.keyFold }
	}}`

	pageQuery = `query($after: String) {
	devices(first: 100, after: $after) { nodes { reference policies { reference type description } } }
}`
	pageCypher = `
	MATCH (d:Device) WHERE d.account = $account AND d.keyFold > $key
	WITH d ORDER BY d.account, d.keyFold LIMIT 100
	WITH d, COLLECT {
		MATCH (d)-[:LOCATED_AT|SUPPLIED_BY|OPERATED_BY]->() (()-[:CHILD_OF]->()){0,32} (g:Group)<-[:APPLIES_TO]-(p:Policy)
		WITH DISTINCT p, g
		WITH p, count(g) AS reached WHERE reached = p.groupCount
		WITH p ORDER BY p.deepest DESC, p.depthSum DESC, p.keyFold
		RETURN p {.reference, .type, .description}
	} AS policies
	RETURN {devices: {nodes: collect({reference: d.reference, policies: policies})}}`

	treeQuery = `query($key: String!) {
	group(path: $key) { path name children(first: 10) { nodes { path name
		children(first: 10) { nodes { path name
			children(first: 10) { nodes { path name } } } } } } }
}`
	treeCypher = `
	MATCH (a:Group) WHERE a.account = $account AND a.keyFold = $key
	RETURN {group: {path: a.path, name: a.name, children: {nodes: COLLECT {
		MATCH (a)<-[:CHILD_OF]-(b:Group) WITH b ORDER BY b.keyFold LIMIT 10
		RETURN {path: b.path, name: b.name, children: {nodes: COLLECT {
			MATCH (b)<-[:CHILD_OF]-(c:Group) WITH c ORDER BY c.keyFold LIMIT 10
			RETURN {path: c.path, name: c.name, children: {nodes: COLLECT {
				MATCH (c)<-[:CHILD_OF]-(d:Group) WITH d ORDER BY d.keyFold LIMIT 10
				RETURN {path: d.path, name: d.name} }}} }}} }}}}`
)

// questions makes the three ways of reading, each about many objects.
func (r *runner) questions(ctx context.Context) ([]*question, error) {
	one := &question{name: "device, template, groups", cypher: deviceCypher}
	for _, i := range r.fleet.random.Perm(len(r.fleet.devices))[:min(1000, len(r.fleet.devices))] {
		r.about(one, deviceQuery, r.fleet.devices[i].reference, r.fleet.devices[i].reference)
	}
	page := &question{name: "100 devices, policies", cypher: pageCypher}
	cursors, err := r.cursors(ctx, min(20, len(r.fleet.devices)/100))
	if err != nil {
		return nil, err
	}
	for i, cursor := range cursors {
		key, after := "", any(nil)
		if i > 0 {
			key, after = r.fleet.devices[100*i-1].reference, cursor
		}
		r.about(page, pageQuery, key, after)
	}
	tree := &question{name: "group, 3 levels", cypher: treeCypher}
	for _, groups := range r.fleet.groups {
		// The top, and the groups below it: three full levels are below each.
		for _, path := range groups[:min(1+fan, len(groups))] {
			r.about(tree, treeQuery, path, path)
		}
	}
	return []*question{one, page, tree}, nil
}

// about adds an object to a question: key is how Cypher names it, and variable
// how GraphQL does.
func (r *runner) about(q *question, query, key string, variable any) {
	r.asking(q, query, map[string]any{"key": variable, "after": variable}, map[string]any{"key": key})
}

// asking adds what is asked of GraphQL with these variables, and of Cypher with
// these parameters and the account.
func (r *runner) asking(q *question, query string, variables, params map[string]any) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		panic(err) // texts, times and null only
	}
	params["account"] = string(r.Scope.Account)
	q.params = append(q.params, params)
	q.requests = append(q.requests, post(r.Address, "/graphql", r.Secret, body))
}

// cursors returns where the first n pages of devices begin.
func (r *runner) cursors(ctx context.Context, n int) ([]string, error) {
	cursors := []string{""}
	for len(cursors) < n {
		variables := map[string]any{}
		if last := cursors[len(cursors)-1]; last != "" {
			variables["after"] = last
		}
		text, err := json.Marshal(map[string]any{"query": `query($after: String) { devices(first: 100, after: $after) { pageInfo { endCursor } } }`, "variables": variables})
		if err != nil {
			return nil, err
		}
		answer, err := r.ask(ctx, post(r.Address, "/graphql", r.Secret, text))
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(answer.data)
		if err != nil {
			return nil, err
		}
		var page struct {
			Devices struct{ PageInfo struct{ EndCursor string } }
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, err
		}
		cursors = append(cursors, page.Devices.PageInfo.EndCursor)
	}
	return cursors, nil
}
