package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

// Commands are found by the id of their device and keep their order by their own
// id, which is that of time. They stay when the device is deleted.

var (
	commandCreate = named("command.create", `
		CREATE (c:Command:Entity)
		SET c = $properties, c.account = $account`)

	commandUpdate = named("command.update", `
		UNWIND $rows AS row
		MATCH (c:Entity {id: row.id})
		WHERE c.account = $account AND c:Command
		SET c += row`)

	commandsByID = named("command.byID", `
		UNWIND $ids AS id
		MATCH (c:Entity {id: id})
		WHERE c.account = $account AND c:Command
		RETURN collect(properties(c)) AS commands`)

	commandsQueued = named("command.queued", `
		MATCH (c:Command)
		WHERE c.account = $account AND c.device = $device AND c.state = 'QUEUED' AND c.keyFold > ''
		WITH c ORDER BY c.account, c.device, c.state, c.keyFold LIMIT $limit
		RETURN collect(properties(c)) AS commands`)

	commandList = listing{
		name: "command.list", key: "n.keyFold", prefix: "n.account, n.device, ", item: "properties(n)",
		match: "MATCH (n:Command) WHERE n.account = $account AND n.device = $device",
	}.registered()

	commandListOf = listing{
		name: "command.listOf", key: "n.keyFold", prefix: "n.account, n.device, n.state, ", item: "properties(n)",
		match: "MATCH (n:Command) WHERE n.account = $account AND n.device = $device AND n.state = $state",
	}.registered()
)

// SendCommand queues a command for a device. Parameters that the declaration has
// something against are INVALID.
func (s *Store) SendCommand(ctx context.Context, scope registry.Scope, n registry.NewCommand) (*registry.Command, error) {
	var sent *registry.Command
	plain, violation := jsonschema.Plain("parameters", n.Parameters)
	if violation != nil {
		return nil, registry.Invalid(*violation)
	}
	parameters, _ := plain.(map[string]any)
	if parameters == nil {
		parameters = map[string]any{}
	}
	n.Device.Kind = registry.KindDevice
	err := change(ctx, s, scope, "command.send", func(ctx context.Context, tx *transaction) error {
		at, err := s.twinIn(ctx, tx, scope, n.Device)
		if err != nil {
			return err
		}
		device := at.thing.(*registry.Device)
		declared, ok := at.template.Command(n.Name)
		if !ok {
			return registry.InvalidField("name", "undeclared", "the template %s declares no command %q", at.template.Name, n.Name)
		}
		if declared.Parameters != nil {
			if violations := jsonschema.CheckValue("parameters", declared.Parameters, parameters); len(violations) > 0 {
				return registry.Invalid(violations...)
			}
		}
		expires := declared.ExpiresAfter()
		if n.ExpiresAfter != nil {
			if expires = *n.ExpiresAfter; expires < time.Second || expires > registry.MaxExpiry {
				return registry.InvalidField("expiresAfter", "range", "is one second to 90 days")
			}
		}
		sent = &registry.Command{
			ID: newID(), DeviceID: device.ID, Reference: device.Reference, Name: declared.Name, Parameters: parameters,
			State: registry.CommandQueued, Version: 1, CreatedAt: tx.at, ExpiresAt: tx.at.Add(expires),
		}
		properties, err := commandProperties(sent)
		if err != nil {
			return err
		}
		tx.recordCommand(registry.ChangeCreate, "created", nil, sent)
		tx.onCommit(func() { s.tellDownlink(scope.Account, device.ID) })
		return nothing(ctx, tx, commandCreate, params{"properties": properties})
	})
	if err != nil {
		return nil, fmt.Errorf("send command %s: %w", n.Name, err)
	}
	return sent, nil
}

// ListCommands returns the commands of a device, newest first, optionally only
// those in one state.
func (s *Store) ListCommands(ctx context.Context, scope registry.Scope, device registry.ID, state *registry.CommandState, page registry.PageRequest) (registry.Page[*registry.Command], error) {
	l, p := commandList, params{"device": string(device)}
	if state != nil {
		l, p["state"] = commandListOf, string(*state)
	}
	found, err := readNewestFirst(ctx, s.reading(scope), l, page, p, commandOf)
	if err != nil {
		return found, fmt.Errorf("list commands: %w", err)
	}
	return found, nil
}

// readNewestFirst reads a page of a list that runs against the order of its keys.
func readNewestFirst[T any](ctx context.Context, r runner, l listing, page registry.PageRequest, p params, of func(fields) T) (registry.Page[T], error) {
	against := page
	against.Backward = !page.Backward
	found, err := readPage(ctx, r, l, against, p, of)
	if err != nil {
		return found, err
	}
	slices.Reverse(found.Items)
	found.HasNext, found.HasPrevious = found.HasPrevious, found.HasNext
	return found, nil
}

// CommandsByID returns commands, nil where there is none.
func (s *Store) CommandsByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Command, error) {
	return s.commands(ctx, s.reading(scope), ids)
}

func (s *Store) commands(ctx context.Context, r runner, ids []registry.ID) ([]*registry.Command, error) {
	found, _, err := one(ctx, r, commandsByID, params{"ids": texts(ids)}, commandsIn)
	if err != nil {
		return nil, fmt.Errorf("commands by id: %w", err)
	}
	known := make(map[registry.ID]*registry.Command, len(found))
	for _, c := range found {
		known[c.ID] = c
	}
	return slots(ids, known), nil
}

func commandsIn(f fields) []*registry.Command {
	rows := f.maps("commands")
	out := make([]*registry.Command, len(rows))
	for i, row := range rows {
		out[i] = commandOf(row)
	}
	return out
}

// commandOf reads the properties of a Command node.
func commandOf(f fields) *registry.Command {
	c := &registry.Command{
		ID: f.id("id"), DeviceID: f.id("device"), Reference: f.text("reference"), Name: f.text("name"), Parameters: f.plainJSON("parameters"),
		State: registry.CommandState(f.text("state")), Version: f.integer("version"), CreatedAt: f.time("createdAt"), ExpiresAt: f.time("expiresAt"),
		SentAt: f.optionalTime("sentAt"), DeliveredAt: f.optionalTime("deliveredAt"), EndedAt: f.optionalTime("endedAt"),
		Result: f.plain("result"), Error: f.optionalText("error"),
	}
	return c
}

// commandProperties is what a command's node holds. OpenUntil is there as long
// as the command may be answered.
func commandProperties(c *registry.Command) (map[string]any, error) {
	parameters, err := json.Marshal(c.Parameters)
	if err != nil {
		return nil, fmt.Errorf("parameters of a command: %w", err)
	}
	out := map[string]any{
		"id": string(c.ID), "keyFold": string(c.ID), "device": string(c.DeviceID), "twin": string(c.DeviceID), "reference": c.Reference, "name": c.Name,
		"parameters": string(parameters), "state": string(c.State), "version": c.Version, "createdAt": c.CreatedAt, "expiresAt": c.ExpiresAt,
		"sentAt": orNull(c.SentAt), "deliveredAt": orNull(c.DeliveredAt), "endedAt": orNull(c.EndedAt), "error": c.Error, "result": nil, "openUntil": nil,
	}
	if c.State.Open() {
		out["openUntil"] = c.ExpiresAt
	}
	if c.Result != nil {
		result, err := json.Marshal(c.Result)
		if err != nil {
			return nil, fmt.Errorf("result of a command: %w", err)
		}
		out["result"] = string(result)
	}
	return out, nil
}

func orNull(at *time.Time) any {
	if at == nil {
		return nil
	}
	return *at
}

// CommandKey is the key of a command in its list, for cursors.
func CommandKey(c *registry.Command) string { return string(c.ID) }

// recordCommand notes what becomes of a command; before is nil for a new one.
func (t *transaction) recordCommand(operation registry.ChangeOperation, action string, before, after *registry.Command) {
	e := entry{kind: registry.ObjectCommand, id: after.ID, key: after.Reference + "/" + after.Name, operation: operation, action: action, version: after.Version, after: commandSnapshot(after)}
	if before != nil {
		e.before = commandSnapshot(before)
	}
	t.record(e)
}

// commandSnapshot is the snapshot of a command.
func commandSnapshot(c *registry.Command) map[string]any {
	out := map[string]any{
		"id": string(c.ID), "twin": string(c.DeviceID), "reference": c.Reference, "name": c.Name, "parameters": c.Parameters, "state": string(c.State),
		"version": c.Version, "createdAt": moment(c.CreatedAt), "expiresAt": moment(c.ExpiresAt),
	}
	for name, at := range map[string]*time.Time{"sentAt": c.SentAt, "deliveredAt": c.DeliveredAt, "endedAt": c.EndedAt} {
		if at != nil {
			out[name] = moment(*at)
		}
	}
	if c.Result != nil {
		out["result"] = c.Result
	}
	if c.Error != nil {
		out["error"] = *c.Error
	}
	return out
}
