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

// groupTypes are the types by which a group can be asked.
var groupTypes = map[string]bool{"Group": true, "Node": true, "Related": true}

// briefGroups says whether brief groups will do. The whole operation is looked
// at, since all its fields share what was loaded.
func briefGroups(op *graphql.OperationContext) bool {
	return briefSelections(op.Operation.SelectionSet)
}

func briefSelections(set ast.SelectionSet) bool {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if s.ObjectDefinition == nil || groupTypes[s.ObjectDefinition.Name] && !ofBriefGroups[s.Name] || !briefSelections(s.SelectionSet) {
				return false
			}
		case *ast.InlineFragment:
			if !briefSelections(s.SelectionSet) {
				return false
			}
		case *ast.FragmentSpread:
			if s.Definition == nil || !briefSelections(s.Definition.SelectionSet) {
				return false
			}
		}
	}
	return true
}
