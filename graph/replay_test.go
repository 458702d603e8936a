package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// replayed is the account as its journal tells it.
type replayed struct {
	// objects are the snapshots by kind and id.
	objects map[string]map[string]any
	// relations are "FROM name TO".
	relations map[string]bool
}

// replay does in memory what the journal says.
func (w world) replay() replayed {
	w.Helper()
	rows, err := w.Cypher(w.Context(), w.scope, `
		MATCH (c:Change) WHERE c.account = $account
		WITH c ORDER BY c.account, c.position
		RETURN c.position AS position, c.kind AS kind, c.object AS object, c.operation AS operation, c.diff AS diff, c.after AS after, c.version AS version`, nil)
	if err != nil {
		w.Fatal(err)
	}
	out := replayed{map[string]map[string]any{}, map[string]bool{}}
	for i, row := range rows {
		object := row["object"].(string)
		key := row["kind"].(string) + " " + object
		if row["position"] != int64(i+1) {
			w.Fatalf("change %d has position %v", i+1, row["position"])
		}
		if made := row["operation"] == "CREATE"; made == (out.objects[key] != nil) {
			w.Errorf("change %d: %v of %s, which is there: %t", i+1, row["operation"], key, !made)
		}
		if row["operation"] == "DELETE" {
			delete(out.objects, key)
		}
		if after, ok := row["after"].(string); ok {
			var snapshot map[string]any
			if err := json.Unmarshal([]byte(after), &snapshot); err != nil {
				w.Fatal(err)
			}
			out.objects[key] = snapshot
		}
		if diff, ok := row["diff"].(string); ok {
			out.relate(w, object, diff)
		}
		if row["operation"] == "DELETE" {
			// The deletion told of every relation that led away.
			for relation := range out.relations {
				if strings.HasPrefix(relation, object+" ") {
					w.Errorf("change %d: %s is deleted and leaves %s", i+1, key, relation)
				}
			}
		}
	}
	return out
}

func (r replayed) relate(w world, object, diff string) {
	var differences []registry.Difference
	if err := json.Unmarshal([]byte(diff), &differences); err != nil {
		w.Fatal(err)
	}
	for _, d := range differences {
		name, ok := strings.CutPrefix(d.Path, "relations.")
		if !ok {
			continue
		}
		end, made := d.After.(map[string]any)
		if !made {
			end, _ = d.Before.(map[string]any)
		}
		relation := fmt.Sprint(object, " ", name, " ", end["id"])
		if made == r.relations[relation] || end["direction"] != "OUT" {
			w.Errorf("relation %s: %+v, was there: %t", relation, d, r.relations[relation])
		}
		if r.relations[relation] = made; !made {
			delete(r.relations, relation)
		}
	}
}

// path follows the parents of a group.
func (r replayed) path(id string) string {
	g := r.objects["GROUP "+id]
	parent, _ := g["parent"].(string)
	switch above := r.path; {
	case g == nil:
		return "?"
	case parent == "":
		return "/"
	default:
		return strings.TrimSuffix(above(parent), "/") + "/" + g["name"].(string)
	}
}

// checkReplay compares what the journal tells with what there is.
func (w world) checkReplay() {
	w.Helper()
	r := w.replay()
	told := []string{}
	for key, snapshot := range r.objects {
		kind, id, _ := strings.Cut(key, " ")
		switch kind {
		case "GROUP":
			told = append(told, fmt.Sprintf("%s %s version %v", key, r.path(id), snapshot["version"]))
		case "POLICY":
			groups := []string{}
			for _, id := range snapshot["appliesTo"].([]any) {
				groups = append(groups, id.(string))
			}
			slices.Sort(groups)
			told = append(told, fmt.Sprintf("%s %v version %v %v", key, snapshot["reference"], snapshot["version"], groups))
		default:
			told = append(told, fmt.Sprintf("%s %v version %v", key, snapshot["reference"], snapshot["version"]))
		}
	}
	for relation := range r.relations {
		told = append(told, relation)
	}
	rows, err := w.Cypher(w.Context(), w.scope, `
		CALL () {
			MATCH (n:Group) WHERE n.account = $account AND n.keyFold IS NOT NULL RETURN 'GROUP ' + n.id + ' ' + n.path + ' version ' + n.version AS text
			UNION ALL
			MATCH (n:Device) WHERE n.account = $account AND n.keyFold IS NOT NULL RETURN 'DEVICE ' + n.id + ' ' + n.reference + ' version ' + n.version AS text
			UNION ALL
			MATCH (n:Asset) WHERE n.account = $account AND n.keyFold IS NOT NULL RETURN 'ASSET ' + n.id + ' ' + n.reference + ' version ' + n.version AS text
			UNION ALL
			MATCH (n:Policy) WHERE n.account = $account AND n.keyFold IS NOT NULL
			WITH n, COLLECT { MATCH (n)-[:APPLIES_TO]->(g:Group) RETURN g.id ORDER BY g.id } AS groups
			RETURN 'POLICY ' + n.id + ' ' + n.reference + ' version ' + n.version + ' [' + reduce(t = head(groups), id IN tail(groups) | t + ' ' + id) + ']' AS text
			UNION ALL
			MATCH (n:Group|Device|Asset) WHERE n.account = $account AND n.keyFold IS NOT NULL
			MATCH (n)-[r]->(o:Group|Device|Asset) WHERE NOT type(r) STARTS WITH 'WAS_' AND NOT type(r) IN ['CHILD_OF', 'COMPONENT_OF']
			RETURN n.id + ' ' + toLower(type(r)) + ' ' + o.id AS text
		}
		RETURN text`, nil)
	if err != nil {
		w.Fatal(err)
	}
	is := []string{}
	for _, row := range rows {
		is = append(is, row["text"].(string))
	}
	slices.Sort(told)
	slices.Sort(is)
	if diff := cmp.Diff(is, told); diff != "" {
		w.Errorf("-is +told:\n%s", diff)
	}
}
