package graph

import (
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// contrary tells which relations a patch both makes and ends.
func contrary(patch *registry.RelationPatch) []registry.Violation {
	if patch == nil || len(patch.Remove) == 0 {
		return nil
	}
	made := map[relationKey]bool{}
	note := func(key relationKey, _ registry.Ref) { made[key] = true }
	eachRelation(patch.Add, note)
	for _, set := range patch.Replace {
		for _, relation := range set.Relations {
			relation.Direction = set.Direction
			eachRelation([]registry.NewRelation{relation}, note)
		}
	}
	var out []registry.Violation
	eachRelation(patch.Remove, func(key relationKey, ref registry.Ref) {
		if made[key] {
			out = append(out, registry.Violation{
				Path: "relations." + key.name, Rule: "contradiction", Message: fmt.Sprintf("to %s %q is to be made and to be ended: say one of them", noun(ref.Kind), ref.Key),
			})
		}
	})
	return out
}

// relationKey names one relation of a thing.
type relationKey struct {
	name      string
	direction registry.Direction
	other     string
}

func eachRelation(relations []registry.NewRelation, do func(relationKey, registry.Ref)) {
	for _, relation := range relations {
		direction := relation.Direction
		if direction == "" {
			direction = registry.DirectionOut
		}
		for _, ref := range relation.To {
			do(relationKey{relation.Name, direction, refKey(ref)}, ref)
		}
	}
}
