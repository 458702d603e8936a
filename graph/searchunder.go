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

// inSubTree is true of a group in the sub-tree: its key begins with that of the
// group at the top. So the index finds the groups, and nobody climbs.
const inSubTree = "(g.keyFold = $under OR g.keyFold STARTS WITH $below)"

// fromUnder begins a search at the groups of a sub-tree.
func (p partPlanner) fromUnder() (match string, distinct bool) {
	if p.kind == registry.KindGroup {
		return "MATCH (n:Group) WHERE n.account = $account AND " + p.groupUnder(), false
	}
	members := "MATCH (g:Group) WHERE g.account = $account AND " + inSubTree + " MATCH (g)<-[m:!WAS_RELATED]-(x:Device|Asset) WHERE m.inherits IS NULL WITH DISTINCT x MATCH (x)<-" + wholes + "-(n:LABEL) "
	if p.kind != registry.KindDevice || !p.search.IncludeLinked {
		return strings.ReplaceAll(members, "LABEL", label(p.kind)) + "WHERE true", true
	}
	linked := strings.ReplaceAll(members, "LABEL", "Asset") + "WITH DISTINCT n AS asset MATCH (asset)<-[l:LINKED_TO]-(n:Device) WHERE l.until IS NULL RETURN n"
	return "CALL () { " + strings.ReplaceAll(members, "LABEL", "Device") + "RETURN n UNION " + linked + " } WITH n WHERE true", false
}

// groupUnder is true of the groups that the search is about.
func (p partPlanner) groupUnder() string {
	if p.search.IncludeSelf {
		return strings.ReplaceAll(inSubTree, "g.", "n.")
	}
	return "n.keyFold STARTS WITH $below"
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
		return p.groupUnder()
	}
	under := "EXISTS { MATCH (TWIN)-" + wholes + "->()-[m:!WAS_RELATED]->(g:Group) WHERE m.inherits IS NULL AND " + inSubTree + " }"
	condition := strings.ReplaceAll(under, "TWIN", "n")
	if p.kind == registry.KindDevice && p.search.IncludeLinked {
		condition = "(" + condition + " OR EXISTS { MATCH (n)-[l:LINKED_TO]->(asset:Asset) WHERE l.until IS NULL AND " + strings.ReplaceAll(under, "TWIN", "asset") + " })"
	}
	return condition
}

// fromMembers begins a search at a group whose members, or children, it is about.
func (p partPlanner) fromMembers() (match string, distinct bool) {
	if p.search.Members.Children {
		return "MATCH (top:Entity {id: $members}) WHERE top.account = $account AND top:Group MATCH (top)<-[:CHILD_OF]-(n:Group) WHERE true", false
	}
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
	if p.search.Members.Children {
		return "EXISTS { MATCH (n)-[:CHILD_OF]->(:Group {id: $members}) }"
	}
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
