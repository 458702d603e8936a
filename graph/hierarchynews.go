package graph

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// glance goes before a query that is decided on the hierarchy. What it finds
// stays in scope as position, structure and news.
const glance = `
	MATCH (j:Journal {account: $account})
	WITH j.position AS position, j.structure AS structure
	CALL (structure) {
		MATCH (c:Change)
		WHERE c.account = $account AND c.structure > $known AND c.structure <= structure
		WITH c ORDER BY c.account, c.structure LIMIT $mostNews
		RETURN collect([c.structure, c.kind, c.object, c.operation, c.after]) AS news
	}`

// news is a change of structure, as glance returns it.
type news struct {
	structure  int64
	kind       registry.ObjectKind
	object     registry.ID
	operation  registry.ChangeOperation
	after      map[string]any
	afterBytes int
}

// glanced is what glance found.
type glanced struct {
	structure int64
	news      []news
}

func glancedOf(f fields) glanced {
	out := glanced{structure: int64(f.integer("structure"))}
	for _, item := range f.list("news") {
		n, err := newsOf(item)
		if err != nil {
			f.failed("news: %v", err)
			break
		}
		out.news = append(out.news, n)
	}
	return out
}

func newsOf(item any) (news, error) {
	row, _ := item.([]any)
	if len(row) != 5 {
		return news{}, fmt.Errorf("a change of %d columns", len(row))
	}
	structure, ok1 := row[0].(int64)
	rest, ok2 := textsOf(row[1:4], 3)
	if !ok1 || !ok2 {
		return news{}, fmt.Errorf("%v is no change", row)
	}
	n := news{structure: structure, kind: registry.ObjectKind(rest[0]), object: registry.ID(rest[1]), operation: registry.ChangeOperation(rest[2])}
	if after, ok := row[4].(string); ok {
		n.afterBytes = len(after)
		if err := json.Unmarshal([]byte(after), &n.after); err != nil {
			return n, fmt.Errorf("change of %s: %w", n.object, err)
		}
	}
	return n, nil
}

// after is the hierarchy after changes, which follow each other without a gap.
func (h *hierarchy) after(changes []news) (*hierarchy, error) {
	d := h.edit()
	for _, c := range changes {
		if c.structure != d.structure+1 {
			return nil, fmt.Errorf("graph: change %d of the structure follows %d", c.structure, d.structure)
		}
		d.structure = c.structure
		gone := c.operation == registry.ChangeDelete
		if !gone && c.after == nil {
			return nil, fmt.Errorf("graph: change %d of the structure does not say what became of %s", c.structure, c.object)
		}
		switch {
		case c.kind == registry.ObjectGroup && gone:
			d.remove(c.object)
		case c.kind == registry.ObjectGroup:
			parent, _ := c.after["parent"].(string)
			name, _ := c.after["name"].(string)
			d.put(c.object, registry.ID(parent), name)
		case c.kind == registry.ObjectPolicy && gone:
			d.drop(c.object)
		case c.kind == registry.ObjectPolicy:
			policy, err := policyFromSnapshot(c.after)
			if err != nil {
				return nil, err
			}
			d.apply(policy, c.afterBytes)
		}
	}
	return d.finish()
}

// policyFromSnapshot reads what policySnapshot wrote.
func policyFromSnapshot(after map[string]any) (*registry.Policy, error) {
	raw, err := json.Marshal(after)
	if err != nil {
		return nil, fmt.Errorf("snapshot of a policy: %w", err)
	}
	var s struct {
		ID                   registry.ID
		Version              int
		CreatedAt, UpdatedAt time.Time
		Reference, Type      string
		Description          *string
		Document             map[string]any
		AppliesTo            []registry.ID
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("snapshot of a policy: %w", err)
	}
	return &registry.Policy{
		Object:    registry.Object{ID: s.ID, Version: s.Version, CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC()},
		Reference: s.Reference, Type: s.Type, Description: s.Description, Document: s.Document, GroupIDs: s.AppliesTo,
	}, nil
}
