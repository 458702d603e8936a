package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// How many twins one statement of a rehearsal reads, and for how many groups it
// counts members.
const (
	twinsAPage    = 5000
	countedGroups = 5000
)

// candidateRow is a twin in the variable n as readCandidates takes it.
const candidateRow = `[n.id, ` + memberKey + `, n.reference, ` + memberships + `]`

var (
	hierarchyGlance = named("hierarchy.glance", glance+`
		RETURN structure, position, news`)

	rehearsalCounts = named("rehearsal.countMembers", `
		UNWIND $groups AS id
		MATCH (g:Entity {id: id})
		WHERE g.account = $account
		RETURN collect(COUNT { (g)<-[:!WAS_RELATED]-(:Device|Asset) }) AS counts, collect(g.id) AS groups`)

	// Members with what they are the whole of.
	rehearsalMembers = named("rehearsal.members", `
		UNWIND $groups AS id
		MATCH (g:Entity {id: id})
		WHERE g.account = $account
		MATCH (g)<-[r:!WAS_RELATED]-(member:Device|Asset)
		WHERE r.inherits IS NULL AND member.id > $after
		WITH DISTINCT member ORDER BY member.id LIMIT $limit
		WITH collect(member) AS members
		RETURN members[-1].id AS last, size(members) AS found, COLLECT {
			UNWIND members AS member
			MATCH (member)<-[:COMPONENT_OF|PART_OF*0..32]-(n:Device|Asset)
			WITH DISTINCT n
			RETURN `+candidateRow+`
		} AS twins`)

	rehearsalNamed = named("rehearsal.named", `
		UNWIND $ids AS id
		MATCH (member:Entity {id: id})
		WHERE member.account = $account
		MATCH (member)<-[:COMPONENT_OF|PART_OF*0..32]-(n:Device|Asset)
		WITH DISTINCT n LIMIT $limit
		RETURN collect(`+candidateRow+`) AS twins`)

	rehearsalDevices = everyTwin("rehearsal.devices", "Device")
	rehearsalAssets  = everyTwin("rehearsal.assets", "Asset")
)

func everyTwin(name, label string) query {
	return named(name, `
		MATCH (n:`+label+`)
		WHERE n.account = $account AND n.keyFold > $after
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		WITH collect(n) AS page
		RETURN page[-1].keyFold AS last, size(page) AS found, COLLECT { UNWIND page AS n RETURN `+candidateRow+` } AS twins`)
}

// candidatePage is what a statement of a rehearsal returns.
type candidatePage struct {
	twins []candidate
	found int
	last  string
}

func candidatePageOf(f fields) candidatePage {
	out := candidatePage{twins: candidatesOf(f), found: f.integer("found")}
	if last := f.optionalText("last"); last != nil {
		out.last = *last
	}
	return out
}

func candidatesOf(f fields) []candidate {
	rows := f.list("twins")
	out := make([]candidate, len(rows))
	for i, item := range rows {
		row, _ := item.([]any)
		if len(row) != 4 {
			f.failed("twins[%d] has %d columns", i, len(row))
			return nil
		}
		names, ok := textsOf(row[:3], 3)
		groups, ok2 := row[3].([]any)
		if !ok || !ok2 {
			f.failed("twins[%d] is no twin with its groups", i)
			return nil
		}
		ids, ok := textsOf(groups, len(groups))
		if !ok {
			f.failed("twins[%d] is in %v", i, groups)
			return nil
		}
		out[i] = candidate{registry.ID(names[0]), names[1], names[2], make([]registry.ID, len(ids))}
		for j, id := range ids {
			out[i].groups[j] = registry.ID(id)
		}
	}
	return out
}

// each calls found with every twin that the change might concern, once.
func (p *plan) each(ctx context.Context, r runner, found func(candidate)) error {
	seen := map[registry.ID]bool{}
	meet := func(twins []candidate) error {
		for _, twin := range twins {
			if seen[twin.id] {
				continue
			}
			if seen[twin.id] = true; len(seen) > registry.MaxRehearsed {
				return tooManyRehearsed()
			}
			found(twin)
		}
		return nil
	}
	if len(p.twins) > 0 {
		twins, _, err := one(ctx, r, rehearsalNamed, params{"ids": texts(p.twins), "limit": registry.MaxRehearsed + 1}, candidatesOf)
		if err == nil {
			err = meet(twins)
		}
		return err
	}
	if p.everyone {
		for _, q := range []query{rehearsalDevices, rehearsalAssets} {
			if err := candidatePages(ctx, r, q, params{}, meet); err != nil {
				return err
			}
		}
		return nil
	}
	for from := 0; from < len(p.in); from += countedGroups {
		if err := eachMember(ctx, r, p.in[from:min(from+countedGroups, len(p.in))], meet); err != nil {
			return err
		}
	}
	return nil
}

func tooManyRehearsed() error {
	return registry.LimitExceeded("a rehearsal looks at %d devices and assets at most: this change concerns more", registry.MaxRehearsed)
}

// eachMember reads the members of groups, of as many at once as have about a
// page of them.
func eachMember(ctx context.Context, r runner, groups []registry.ID, meet func([]candidate) error) error {
	type counts struct {
		groups  []registry.ID
		members []any
	}
	all, _, err := one(ctx, r, rehearsalCounts, params{"groups": texts(groups)}, func(f fields) counts { return counts{f.ids("groups"), f.list("counts")} })
	if err != nil {
		return err
	}
	var batch []registry.ID
	size := 0
	for i, group := range all.groups {
		n, ok := all.members[i].(int64)
		if !ok {
			return fmt.Errorf("graph: the members of %s are %v", group, all.members[i])
		}
		if n == 0 {
			continue
		}
		if size+int(n) > twinsAPage && size > 0 {
			if err := candidatePages(ctx, r, rehearsalMembers, params{"groups": texts(batch)}, meet); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		batch, size = append(batch, group), size+int(n)
	}
	if len(batch) == 0 {
		return nil
	}
	return candidatePages(ctx, r, rehearsalMembers, params{"groups": texts(batch)}, meet)
}

// candidatePages reads all pages of a query.
func candidatePages(ctx context.Context, r runner, q query, p params, meet func([]candidate) error) error {
	p["limit"] = twinsAPage
	for after := ""; ; {
		p["after"] = after
		page, _, err := one(ctx, r, q, p, candidatePageOf)
		if err != nil {
			return err
		}
		if err := meet(page.twins); err != nil {
			return err
		}
		if page.found < twinsAPage {
			return nil
		}
		after = page.last
	}
}
