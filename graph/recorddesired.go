package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// recordDesired gives the records of devices and assets what these are to become.
func (s *Store) recordDesired(ctx context.Context, scope registry.Scope, records []registry.Record) error {
	var things []*registry.ThingRecord
	var ids []registry.ID
	for _, record := range records {
		if thing, ok := record.(*registry.ThingRecord); ok && thing.Kind != registry.KindGroup {
			things, ids = append(things, thing), append(ids, thing.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	desired, err := s.desired(ctx, s.reading(scope), ids)
	if err != nil {
		return err
	}
	for i, d := range desired {
		if d == nil || len(d.Values) == 0 {
			continue
		}
		r := &registry.DesiredRecord{Values: d.Values, Revision: registry.Revision{Version: d.Version, UpdatedAt: &d.UpdatedAt}}
		if things[i].Kind == registry.KindAsset {
			r.Asset = things[i].Reference
		} else {
			r.Device = things[i].Reference
		}
		things[i].Desired = r
	}
	return nil
}
