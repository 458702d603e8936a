package graph

import (
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// A twin is under a group if it, or what it is a component or a part of, is a
// member of the group or of a group below.

// wholes leads from a twin to what it is a component or a part of, itself
// included.
const wholes = "[:COMPONENT_OF|PART_OF*0..32]"

// fromUnder begins a search at the group at the top of a sub-tree.
func (p partPlanner) fromUnder() (match string, distinct bool) {
	top := "MATCH (top:Group) WHERE top.account = $account AND top.keyFold = $under "
	if p.kind == registry.KindGroup {
		return top + fmt.Sprintf("MATCH (top)<-[:CHILD_OF*%d..32]-(n:Group) WHERE true", p.least()), false
	}
	members := top + "MATCH (top)<-[:CHILD_OF*0..32]-(g:Group)<-[m:!WAS_RELATED]-(x:Device|Asset) WHERE m.inherits IS NULL WITH DISTINCT x MATCH (x)<-" + wholes + "-(n:LABEL) "
	if p.kind != registry.KindDevice || !p.search.IncludeLinked {
		return strings.ReplaceAll(members, "LABEL", label(p.kind)) + "WHERE true", true
	}
	linked := strings.ReplaceAll(members, "LABEL", "Asset") + "WITH DISTINCT n AS asset MATCH (asset)<-[l:LINKED_TO]-(n:Device) WHERE l.until IS NULL RETURN n"
	return "CALL () { " + strings.ReplaceAll(members, "LABEL", "Device") + "RETURN n UNION " + linked + " } WITH n WHERE true", false
}

// least is how far below the top the groups of a search begin.
func (p partPlanner) least() int {
	if p.search.IncludeSelf {
		return 0
	}
	return 1
}

// underCondition is for searches that begin elsewhere; empty if everything is
// under the group.
func (p partPlanner) underCondition() string {
	root := p.plan.params["under"] == "/"
	switch {
	case p.kind == registry.KindGroup && root && p.search.IncludeSelf, p.kind != registry.KindGroup && root:
		return ""
	case p.kind == registry.KindGroup && root:
		return "n.depth > 0"
	case p.kind == registry.KindGroup:
		return fmt.Sprintf("EXISTS { MATCH (n)-[:CHILD_OF*%d..32]->(top:Group) WHERE top.account = $account AND top.keyFold = $under }", p.least())
	}
	under := "EXISTS { MATCH (TWIN)-" + wholes + "->()-[m:!WAS_RELATED]->(:Group)-[:CHILD_OF*0..32]->(top:Group) WHERE m.inherits IS NULL AND top.account = $account AND top.keyFold = $under }"
	condition := strings.ReplaceAll(under, "TWIN", "n")
	if p.kind == registry.KindDevice && p.search.IncludeLinked {
		condition = "(" + condition + " OR EXISTS { MATCH (n)-[l:LINKED_TO]->(asset:Asset) WHERE l.until IS NULL AND " + strings.ReplaceAll(under, "TWIN", "asset") + " })"
	}
	return condition
}

// fromMembers begins a search at a group whose members it is about.
func (p partPlanner) fromMembers() (match string, distinct bool) {
	relation, condition := p.memberRelation()
	match = "MATCH (top:Entity {id: $members}) WHERE top.account = $account AND top:Group MATCH (top)"
	if p.search.Members.Deep {
		match += "<-[:CHILD_OF*0..32]-(g:Group)<-[mTYPE]-(:LABEL)<-" + wholes + "-(n:LABEL) WHERE "
	} else {
		match += "<-[mTYPE]-(n:LABEL) WHERE "
	}
	return strings.NewReplacer("TYPE", relation, "LABEL", label(p.kind)).Replace(match) + condition, true
}

func (p partPlanner) memberCondition() string {
	relation, condition := p.memberRelation()
	way := "(n)-[mTYPE]->"
	if p.search.Members.Deep {
		way = "(n)-" + wholes + "->()-[mTYPE]->(:Group)-[:CHILD_OF*0..32]->"
	}
	return fmt.Sprintf("EXISTS { MATCH %s(top:Entity {id: $members}) WHERE %s }", strings.ReplaceAll(way, "TYPE", relation), condition)
}

// memberRelation is the type in a match of members and what has to hold of the
// relationship m. Tags count only where they are named.
func (p partPlanner) memberRelation() (relation, condition string) {
	if name := p.search.Members.Relation; name != "" {
		return ":" + relationType(name), "true"
	}
	return ":!WAS_RELATED", "m.inherits IS NULL"
}
