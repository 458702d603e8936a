package resolvers

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// ofBriefGroups are the fields of a group that a brief one can answer: those
// that it has, and those that need no more than its id.
var ofBriefGroups = map[string]bool{
	"__typename": true, "id": true, "name": true, "path": true, "depth": true, "description": true,
	"children": true, "ancestors": true, "members": true, "relations": true,
	"policies": true, "policyReferences": true, "policyExplanation": true,
}

// ofBriefTwins are those of a device or an asset. What is computed from
// attributes is not among them.
var ofBriefTwins = map[string]bool{
	"__typename": true, "id": true, "reference": true, "description": true, "state": true, "template": true,
	"groups": true, "relations": true, "related": true, "componentOf": true, "components": true, "partOf": true, "parts": true, "links": true,
	"policies": true, "policyReferences": true, "policyExplanation": true,
	"presence": true, "alarms": true,
}

// groupTypes are the types by which a group can be asked, twinTypes those by
// which a device or an asset can.
var (
	groupTypes = map[string]bool{"Group": true, "Node": true, "Related": true}
	twinTypes  = map[string]bool{"Device": true, "Asset": true, "Twin": true, "Node": true, "Related": true}
)

// briefGroups says whether brief groups will do. The whole operation is looked
// at, since all its fields share what was loaded.
func briefGroups(op *graphql.OperationContext) bool {
	return only(op.Operation.SelectionSet, groupTypes, ofBriefGroups)
}

// briefTwins says whether brief devices and assets will do.
func briefTwins(op *graphql.OperationContext) bool {
	return only(op.Operation.SelectionSet, twinTypes, ofBriefTwins)
}

// only says whether nothing else than these fields is selected of these types.
func only(set ast.SelectionSet, types, fields map[string]bool) bool {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if s.ObjectDefinition == nil || types[s.ObjectDefinition.Name] && !fields[s.Name] || !only(s.SelectionSet, types, fields) {
				return false
			}
		case *ast.InlineFragment:
			if !only(s.SelectionSet, types, fields) {
				return false
			}
		case *ast.FragmentSpread:
			if s.Definition == nil || !only(s.Definition.SelectionSet, types, fields) {
				return false
			}
		}
	}
	return true
}
