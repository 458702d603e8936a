package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
)

// The rooms do not know each other: what one needs of another is plugged
// together here.

// directorySource lets sources of readings find devices in the graph.
type directorySource struct{ graph *graph.Store }

// KnownDevices implements ingest.DeviceSource.
func (d directorySource) KnownDevices(ctx context.Context, scope registry.Scope, references []string) ([]*ingest.KnownDevice, error) {
	found, err := d.graph.KnownDevices(ctx, scope, references)
	return knownInOrder(references, found), err
}

// KnownAssets implements ingest.DeviceSource.
func (d directorySource) KnownAssets(ctx context.Context, scope registry.Scope, references []string) ([]*ingest.KnownDevice, error) {
	found, err := d.graph.KnownAssets(ctx, scope, references)
	return knownInOrder(references, found), err
}

func knownInOrder(references []string, found map[string]graph.KnownDevice) []*ingest.KnownDevice {
	known := make([]*ingest.KnownDevice, len(references))
	for i, reference := range references {
		if one, ok := found[graph.Fold(reference)]; ok {
			known[i] = &ingest.KnownDevice{ID: one.ID, Reference: one.Reference, TemplateID: one.TemplateID, Feeds: one.Feeds}
		}
	}
	return known
}

// TemplatesByID implements ingest.DeviceSource.
func (d directorySource) TemplatesByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Template, error) {
	return d.graph.TemplatesByID(ctx, scope, ids)
}

// DeviceTemplate implements ingest.DeviceSource.
func (d directorySource) DeviceTemplate(ctx context.Context, scope registry.Scope, name string) (*registry.Template, error) {
	t, err := d.graph.Template(ctx, scope, registry.KindDevice, name, nil, nil)
	if registry.CodeOf(err) == registry.CodeNotFound {
		return nil, nil
	}
	return t, err
}

// DeviceTemplates implements ingest.DeviceSource.
func (d directorySource) DeviceTemplates(ctx context.Context, scope registry.Scope, names []string) ([]*registry.Template, error) {
	return d.graph.TemplatesNamed(ctx, scope, registry.KindDevice, names)
}

// Announce implements ingest.DeviceSource.
func (d directorySource) Announce(ctx context.Context, scope registry.Scope, devices []registry.NewTwin) ([]*registry.Error, error) {
	return d.graph.Announce(ctx, scope, devices)
}

// Unfit implements ingest.DeviceSource.
func (d directorySource) Unfit(scope registry.Scope, template *registry.Template, attributes registry.Attributes) *registry.Error {
	return d.graph.Unfit(scope, template, attributes)
}

// Report implements ingest.DeviceSource.
func (d directorySource) Report(ctx context.Context, scope registry.Scope, reports []registry.Report, rehearse bool) ([]*registry.Error, error) {
	return d.graph.Report(ctx, scope, reports, rehearse)
}

// workerGraph lets the worker store readings in the graph.
type workerGraph struct{ graph *graph.Store }

// OpenPartition implements ingest.Graph.
func (g workerGraph) OpenPartition(ctx context.Context, number int, generation string) (ingest.Partition, error) {
	partition, err := g.graph.OpenPartition(ctx, number, generation)
	if err != nil {
		return nil, err
	}
	return workerPartition{partition}, nil
}

// changeJournal lets the gateway tell its subscribers of changes.
type changeJournal struct{ *graph.Store }

// Follow implements ingest.ChangeJournal.
func (j changeJournal) Follow(ctx context.Context, scope registry.Scope, after int64) (ingest.Changes, error) {
	changes, err := j.FollowChanges(ctx, scope, registry.Cursor(strconv.FormatInt(after, 10)))
	if err != nil {
		return nil, err
	}
	return changes, nil
}

type workerPartition struct{ partition *graph.Partition }

// Append implements ingest.Partition.
func (p workerPartition) Append(ctx context.Context, entries []ingest.Entry) (registry.AppendResult, error) {
	batch := make([]graph.Entry, len(entries))
	for i, e := range entries {
		batch[i] = graph.Entry{ID: e.ID, Readings: e.Readings}
	}
	result, err := p.partition.Append(ctx, batch)
	if errors.Is(err, graph.ErrFenced) {
		err = ingest.ErrFenced
	}
	return result, err
}

// recorder lets the mutation hand readings to the same receiver as the other
// sources.
type recorder struct {
	receiver *ingest.Receiver
	graph    *graph.Store
}

// Record implements resolvers.Recorder.
func (r recorder) Record(ctx context.Context, by registry.Principal, source string, readings []registry.Reading) error {
	_, err := r.receiver.Receive(ctx, &by, source, readings)
	return err
}

// Replay implements resolvers.Recorder.
func (r recorder) Replay(ctx context.Context, by registry.Principal, request registry.ReplayRequest) (registry.Replayed, error) {
	return r.receiver.Replay(ctx, &by, r.graph, request)
}

// requeueTime is how long a note that was queued may take to be stored before the
// newest values are read again all the same.
const requeueTime = 3 * time.Second

// requeue queues what a call of Reprocess that was interrupted has noted.
func (s *stores) requeue(ctx context.Context, note graph.Requeue) error {
	stored, err := s.receiver.Requeue(ctx, note.Records)
	if err != nil {
		return err
	}
	// At once: were it left while the queue is behind, it would be queued each turn.
	if err := s.graph.Requeued(ctx, note.Scope, note.Note); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, requeueTime)
	defer cancel()
	_ = stored(waiting) // a worker that is late tells the twins itself
	return s.twin.ForgetValues(ctx, note.Scope, note.Twins...)
}

// Reprocess implements resolvers.Recorder.
func (r recorder) Reprocess(ctx context.Context, by registry.Principal, request registry.ReprocessRequest) (registry.Reprocessed, error) {
	return r.receiver.Reprocess(ctx, &by, r.graph, request)
}
