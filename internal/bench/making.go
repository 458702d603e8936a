package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/registry"
)

const makeTitle = "making devices"

// making measures how fast devices are made in bulk, beside plain Cypher that
// writes what was just written once more: the same nodes, relationships, labels
// and properties, and so the same entries in the same indexes, in the same order
// and the same chunks.
type making struct {
	ours []sample
	raw  map[int][]sample
}

// makingSessions are by how many sessions at a time the raw form writes. Holon
// changes an account by one at a time.
var makingSessions = []int{1, 2}

// rawMake writes devices, each with a relationship into three groups, and their
// changes.
const rawMake = `
	MATCH (t) WHERE elementId(t) = $template
	CALL (t) {
		UNWIND $devices AS row
		MATCH (g0) WHERE elementId(g0) = row[2][0]
		MATCH (g1) WHERE elementId(g1) = row[2][1]
		MATCH (g2) WHERE elementId(g2) = row[2][2]
		CREATE (d:Device:Entity)
		SET d = row[0]
		CREATE (d)-[i:INSTANCE_OF]->(t)
		SET i = row[1]
		CREATE (d)-[r0:LOCATED_AT]->(g0)
		SET r0 = row[3][0]
		CREATE (d)-[r1:SUPPLIED_BY]->(g1)
		SET r1 = row[3][1]
		CREATE (d)-[r2:OPERATED_BY]->(g2)
		SET r2 = row[3][2]
		RETURN count(d) AS devices
	}
	CALL () {
		UNWIND $changes AS change
		CREATE (c:Change)
		SET c = change
		RETURN count(c) AS changes
	}
	RETURN devices + changes AS n`

// madeOurs reads what was written since a position of the journal, in its order.
const madeOurs = `
	MATCH (c:Change)
	WHERE c.account = $account AND c.position > $from
	WITH c ORDER BY c.position
	MATCH (d:Entity {id: c.object})
	RETURN [properties(d), COLLECT { MATCH (d)-[i:INSTANCE_OF]->() RETURN properties(i) }[0],
		COLLECT { MATCH (d)-[r]->(g:Group) RETURN [type(r), properties(r), g.keyFold] }, properties(c)] AS made`

// madeSum adds up what was written: nodes, labels, properties, relationships and
// their properties.
const madeSum = `
	MATCH (c:Change)
	WHERE c.account = $account AND c.position > $from
	MATCH (d:Entity {id: c.object})
	CALL (d) {
		MATCH (d)-[r]-()
		RETURN count(r) AS relations, sum(size(keys(r))) AS written
	}
	RETURN [count(d), sum(size(labels(d)) + size(labels(c))), sum(size(keys(d))), sum(size(keys(c))), sum(relations), sum(written)] AS sums`

const journalPosition = `MATCH (j:Journal {account: $account}) RETURN j.position`

// warmChunks is how many chunks are made at least in the round that does not
// count.
const warmChunks = 10

// measureMaking makes devices in the last hierarchy, which no question is about.
func (r *runner) measureMaking(ctx context.Context, round int) error {
	n := r.Made
	if round == 0 {
		n = max(n, warmChunks*chunk)
	}
	from, err := r.position(ctx)
	if err != nil {
		return err
	}
	all := r.newDevices(round, n)
	ours, err := r.race(ctx, 1, func(ctx context.Context, _ int, lap func(time.Time)) error {
		for part := range slices.Chunk(all, chunk) {
			began := time.Now()
			if _, err := r.Graph.CreateTwins(ctx, r.Scope, registry.KindDevice, part, true); err != nil {
				return err
			}
			lap(began)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if round > 0 {
		r.making.ours = append(r.making.ours, ours)
	}
	made, err := r.rows(ctx, madeOurs, map[string]any{"account": string(r.Scope.Account), "from": from})
	if err != nil {
		return err
	}
	if len(made) != n {
		return fmt.Errorf("%d devices were made, not %d", len(made), n)
	}
	for i, sessions := range makingSessions {
		s, err := r.makeRaw(ctx, r.copies[i], sessions, made)
		if err != nil {
			return fmt.Errorf("plain Cypher: %w", err)
		}
		if err := r.sameMade(ctx, r.copies[i].account, from); err != nil {
			return err
		}
		if round > 0 {
			r.making.raw[sessions] = append(r.making.raw[sessions], s)
		}
	}
	return nil
}

// newDevices are in three groups each of the last hierarchy.
func (r *runner) newDevices(round, n int) []registry.NewTwin {
	random, groups := r.fleet.random, r.fleet.groups[len(hierarchies)-1]
	out := make([]registry.NewTwin, n)
	for i := range out {
		reference, description := fmt.Sprintf("made-%03d-%06d", round, i), fmt.Sprintf("Sensor number %d", i)
		out[i] = registry.NewTwin{
			Reference: reference, Template: templateName, Description: &description,
			Attributes: registry.Attributes{"firmware": fmt.Sprintf("F%03d", random.IntN(20)), "floor": random.IntN(30)},
		}
		for _, name := range memberships {
			path := groups[len(groups)/fan+random.IntN(len(groups)-len(groups)/fan)]
			out[i].Relations = append(out[i].Relations, registry.NewRelation{Name: name, To: []registry.Ref{{Kind: registry.KindGroup, Key: path}}})
		}
	}
	return out
}

// makeRaw writes once more what was made, as the account of a copy of the groups.
func (r *runner) makeRaw(ctx context.Context, to *groupsCopy, sessions int, made []any) (sample, error) {
	rows := make([][]any, len(made))
	for i, one := range made {
		var err error
		if rows[i], err = to.copied(one); err != nil {
			return sample{}, err
		}
	}
	chunks := make([][]map[string]any, sessions)
	number := 0
	for part := range slices.Chunk(rows, chunk) {
		devices, changes := make([]any, len(part)), make([]any, len(part))
		for i, row := range part {
			devices[i], changes[i] = row[:4], row[4]
		}
		chunks[number%sessions] = append(chunks[number%sessions], map[string]any{"template": to.template, "devices": devices, "changes": changes})
		number++
	}
	return r.race(ctx, sessions, func(ctx context.Context, i int, lap func(time.Time)) error {
		for _, params := range chunks[i] {
			began := time.Now()
			n, err := r.writeRaw(ctx, rawMake, params)
			if err != nil {
				return err
			}
			if want := int64(2 * len(params["changes"].([]any))); n != want {
				return fmt.Errorf("%v devices and changes were written, not %d", n, want)
			}
			lap(began)
		}
		return nil
	})
}

// writeRaw runs a statement, again if it met a deadlock, and returns its only
// value.
func (r *runner) writeRaw(ctx context.Context, cypher string, params map[string]any) (any, error) {
	session := r.driver.NewSession(ctx, neo4j.SessionConfig{DatabaseName: r.Database})
	defer session.Close(ctx)
	return session.ExecuteWrite(ctx, func(tx neo4j.ManagedTransaction) (any, error) {
		result, err := tx.Run(ctx, cypher, params)
		if err != nil {
			return nil, err
		}
		record, err := result.Single(ctx)
		if err != nil {
			return nil, err
		}
		return record.Values[0], nil
	})
}

// sameMade makes sure that both wrote the same.
func (r *runner) sameMade(ctx context.Context, account string, from any) error {
	var sums [2]string
	for i, account := range []string{string(r.Scope.Account), account} {
		rows, err := r.rows(ctx, madeSum, map[string]any{"account": account, "from": from})
		if err != nil {
			return err
		}
		sums[i] = fmt.Sprint(rows...)
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("nodes, labels, properties, relationships: %s, and by plain Cypher %s", sums[0], sums[1])
	}
	return nil
}

// position is how far the account's journal has come.
func (r *runner) position(ctx context.Context) (any, error) {
	rows, err := r.rows(ctx, journalPosition, map[string]any{"account": string(r.Scope.Account)})
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, errors.New("the account has no journal")
	}
	return rows[0], nil
}
