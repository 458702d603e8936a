package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// What is deleted is gone from every list and frees its key, but its node stays
// as :Gone, with its relationships ended: history looks back through them.

// objectBury ends every relationship of objects and takes them out of their
// kind, which stays in the property "was". What is ended becomes a relationship of the past, with both ends of its
// time; instances and series are let go, links are closed.
var objectBury = named("object.bury", `
	UNWIND $ids AS id
	MATCH (n:Entity {id: id})
	WHERE n.account = $account
	CALL (n) {
		MATCH (n)-[r:CHILD_OF]-()
		WITH r, startNode(r) AS a, endNode(r) AS b
		CREATE (a)-[w:WAS_CHILD_OF]->(b)
		SET w = properties(r), w.until = $until
		DELETE r
	}
	CALL (n) {
		MATCH (n)-[r:APPLIES_TO]-()
		WITH r, startNode(r) AS a, endNode(r) AS b
		CREATE (a)-[w:WAS_APPLIES_TO]->(b)
		SET w = properties(r), w.until = $until
		DELETE r
	}
	CALL (n) {
		MATCH (n)-[r:COMPONENT_OF]-()
		WITH r, startNode(r) AS a, endNode(r) AS b
		CREATE (a)-[w:WAS_COMPONENT_OF]->(b)
		SET w = properties(r), w.until = $until
		DELETE r
	}
	CALL (n) {
		MATCH (n)-[r:PART_OF]-()
		WITH r, startNode(r) AS a, endNode(r) AS b
		CREATE (a)-[w:WAS_PART_OF]->(b)
		SET w = properties(r), w.until = $until
		DELETE r
	}
	CALL (n) {
		MATCH (n)-[r]-(:Group|Device|Asset)
		WHERE NOT type(r) IN $builtIn
		WITH DISTINCT r, startNode(r) AS a, endNode(r) AS b
		CREATE (a)-[w:WAS_RELATED]->(b)
		SET w = properties(r), w.name = toLower(type(r)), w.until = $until
		DELETE r
	}
	CALL (n) {
		MATCH (n)-[r:LINKED_TO]-()
		WHERE r.until IS NULL
		SET r.until = CASE WHEN r.since < $until THEN $until ELSE r.since + 1 END
	}
	CALL (n) {
		MATCH (n)-[r:INSTANCE_OF|HAS_SERIES|HAS_MEASURE|GIVES]->()
		DELETE r
	}
	CALL (n) {
		MATCH (d:Desired) USING INDEX d:Desired(twin)
		WHERE d.twin = n.id AND d.account = $account
		DELETE d
	}
	CALL (n) {
		MATCH (a:Alarm) USING INDEX a:Alarm(account, twin, keyFold)
		WHERE a.account = $account AND a.twin = n.id AND a.keyFold IS NOT NULL AND a.open
		SET a.clearedAt = datetime({epochMillis: $until})
		REMOVE a.open, a.active
	}
	SET n.was = CASE WHEN n:Group THEN 'GROUP' WHEN n:Device THEN 'DEVICE' WHEN n:Asset THEN 'ASSET' WHEN n:Policy THEN 'POLICY' ELSE 'OTHER' END
	REMOVE n:Group:Device:Asset:Policy:Template:Profile:MeasureType, n.keyFold
	SET n:Gone, n.goneAt = $until
	RETURN count(n) AS n`)

// recordDeletion notes that a thing is deleted, and the relations that led away
// from it.
func (t *transaction) recordDeletion(thing registry.Related, template *registry.Template, away ...registry.Difference) {
	t.record(entry{
		kind: objectKind(thing), id: thing.NodeID(), key: keyOf(thing), operation: registry.ChangeDelete, action: "deleted",
		version: objectIn(thing).Version, before: thingSnapshot(thing, template), relations: away, structural: kindOf(thing) == registry.KindGroup,
	})
}

// bury deletes objects in a change.
func (t *transaction) bury(ctx context.Context, ids ...registry.ID) error {
	return nothing(ctx, t, objectBury, params{"ids": texts(ids), "until": t.at.UnixMilli(), "builtIn": builtInTypes})
}
