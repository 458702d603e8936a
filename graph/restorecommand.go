package graph

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

var (
	// The commands of devices that were made in some time: their ids tell.
	restoreCommands = named("restore.commands", `
		UNWIND $spans AS span
		MATCH (n:Command)
		WHERE n.account = $account AND n.device = span.device AND n.keyFold >= span.from AND n.keyFold < span.upto
		RETURN collect(properties(n)) AS commands`)

	restoreCommandsCreate = named("restore.commandsCreate", `
		UNWIND $rows AS row
		CREATE (c:Command:Entity)
		SET c = row, c.account = $account`)
)

// idsStray is how far the time in the id of a command may be from that of the
// change that made it: they are told by the clocks of different processes.
const idsStray = time.Hour

func keyOfCommand(c *registry.Command) string {
	return fmt.Sprintf("%s %s %d", c.DeviceID, Fold(c.Name), c.CreatedAt.UnixMilli())
}

// commands restores commands of devices. None is sent by that, unless it was
// asked for: what waited when the file was written may have been sent since
// (docs/adr/0037-what-an-import-sends.md).
func (b *restoring) commands(ctx context.Context, records []*registry.CommandRecord) error {
	refs, stamps := make([]registry.Ref, len(records)), make([]registry.Stamp, len(records))
	for i, r := range records {
		refs[i], stamps[i] = registry.Ref{Kind: registry.KindDevice, Key: r.Device}, registry.Stamp{ID: r.ID}
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	commands, templates := make([]*registry.Command, len(records)), make([]*registry.Template, len(records))
	for i, r := range records {
		violations := r.Check()
		at, ok := targets[refKey(refs[i])]
		if !ok && r.Device != "" {
			violations = append(violations, registry.Violation{Path: "device", Rule: "unknown", Message: missing(refs[i]).Error()})
		}
		c := r.Command()
		violations = append(violations, plainCommand(r, c)...)
		if !b.refuse(i, violations...) {
			c.DeviceID, c.Reference = at.id, at.key
			commands[i], templates[i] = c, at.template.Template
		}
	}
	held, err := b.heldCommands(ctx, records, commands)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	var create, update []any
	for i, c := range commands {
		if c == nil {
			continue
		}
		key := keyOfCommand(c)
		if done[key] {
			b.results[i] = refusedBy(registry.Conflict("createdAt", "the file says already what became of this command"))
			continue
		}
		done[key] = true
		before := held[key]
		if before == nil && b.options.SendQueued && c.State == registry.CommandQueued && c.ExpiresAt.After(b.store.now()) &&
			b.refuse(i, undeclaredCommand(templates[i], c)...) {
			continue
		}
		after := b.command(i, records[i], c, before, taken)
		if after == nil {
			continue
		}
		if b.tx == nil {
			b.after = append(b.after, func() { b.ids[after.ID], b.sent[key] = true, after })
			continue
		}
		if b.results[i].Result == registry.RestoreUnchanged {
			continue
		}
		properties, err := commandProperties(after)
		if err != nil {
			return err
		}
		if before != nil {
			update = append(update, properties)
			b.tx.recordCommand(registry.ChangeUpdate, actionImported, before, after)
			continue
		}
		b.tx.recordCommand(registry.ChangeCreate, actionImported, nil, after)
		if after.State == registry.CommandQueued {
			b.committed = append(b.committed, func() { b.store.tellDownlink(b.scope.Account, after.DeviceID) })
		}
		create = append(create, properties)
	}
	if len(update) > 0 {
		if err := nothing(ctx, b, commandUpdate, params{"rows": update}); err != nil {
			return err
		}
	}
	if len(create) == 0 {
		return nil
	}
	return nothing(ctx, b, restoreCommandsCreate, params{"rows": create})
}

// plainCommand takes over what was sent with a command and what came back.
func plainCommand(r *registry.CommandRecord, into *registry.Command) []registry.Violation {
	parameters, violation := jsonschema.Plain("parameters", r.Parameters)
	if violation != nil {
		return []registry.Violation{*violation}
	}
	if into.Parameters, _ = parameters.(map[string]any); into.Parameters == nil {
		into.Parameters = map[string]any{}
	}
	if into.Result, violation = jsonschema.Plain("result", r.Result); violation != nil {
		return []registry.Violation{*violation}
	}
	return nil
}

// undeclaredCommand is what a device's template has against a command that is to
// be sent to it.
func undeclaredCommand(t *registry.Template, c *registry.Command) []registry.Violation {
	declared, ok := t.Command(c.Name)
	if !ok {
		return []registry.Violation{{Path: "name", Rule: "undeclared", Message: fmt.Sprintf("the template %s declares no command %q", t.Name, c.Name)}}
	}
	if declared.Parameters == nil {
		return nil
	}
	return jsonschema.CheckValue("parameters", declared.Parameters, c.Parameters)
}

// heldCommands are the commands that are there, by their keys.
func (b *restoring) heldCommands(ctx context.Context, records []*registry.CommandRecord, commands []*registry.Command) (map[string]*registry.Command, error) {
	type span struct{ from, upto time.Time }
	spans := map[registry.ID]span{}
	var ids []registry.ID
	for i, c := range commands {
		if c == nil {
			continue
		}
		s, ok := spans[c.DeviceID]
		if !ok || c.CreatedAt.Before(s.from) {
			s.from = c.CreatedAt
		}
		if c.CreatedAt.After(s.upto) {
			s.upto = c.CreatedAt
		}
		spans[c.DeviceID] = s
		if records[i].ID != "" {
			ids = append(ids, records[i].ID)
		}
	}
	wanted := []any{}
	for device, s := range spans {
		wanted = append(wanted, map[string]any{"device": string(device), "from": firstIDAt(s.from.Add(-idsStray)), "upto": firstIDAt(s.upto.Add(idsStray))})
	}
	near, _, err := one(ctx, b, restoreCommands, params{"spans": wanted}, commandsIn)
	if err != nil {
		return nil, err
	}
	same, err := b.store.commands(ctx, b, ids) // ids that were given tell no time
	if err != nil {
		return nil, err
	}
	out := map[string]*registry.Command{}
	for _, c := range append(near, same...) {
		if c != nil {
			out[keyOfCommand(c)] = c
		}
	}
	maps.Copy(out, b.sent) // in a rehearsal
	return out, nil
}

// command decides about one record, and returns what becomes of its command; nil
// if it is refused.
func (b *restoring) command(i int, r *registry.CommandRecord, c, before *registry.Command, taken map[registry.ID]bool) *registry.Command {
	stamp := registry.Stamp{ID: r.ID}
	if before != nil {
		if b.taken(i, "command", r.RecordKey(), stamp, before.ID) {
			return nil
		}
		if !before.ExpiresAt.Equal(c.ExpiresAt) || !jsonEqual(before.Parameters, c.Parameters) {
			b.results[i] = refusedBy(registry.Conflict("createdAt", "device %s was told another %s at that moment", c.Reference, c.Name))
			return nil
		}
		after := furtherCommand(before, c)
		if b.results[i].Result = registry.RestoreUnchanged; jsonEqual(commandSnapshot(before), commandSnapshot(after)) {
			return before
		}
		b.results[i].Result = registry.RestoreChanged
		after.Version++
		return after
	}
	if !b.identify(i, stamp, taken) {
		return nil
	}
	b.results[i].Result = registry.RestoreMade
	c.ID, c.Version = b.identity(stamp.ID, r.Version, c.CreatedAt)
	if c.State == registry.CommandQueued && !b.options.SendQueued {
		c.State = registry.CommandSent // whether it was, nobody knows
	}
	return c
}

// furtherCommand is a command as another account of it says, unless what is here
// has come further. Of two that have come as far, what is here stays.
func furtherCommand(held, told *registry.Command) *registry.Command {
	after := *held
	is, was := progress(told.State), progress(held.State)
	if is < was {
		return &after
	}
	if is > was {
		after.State, after.EndedAt, after.Result, after.Error = told.State, told.EndedAt, told.Result, told.Error
	}
	if told.SentAt != nil && (is > was || held.SentAt == nil) {
		after.SentAt = told.SentAt
	}
	if told.DeliveredAt != nil && (is > was || held.DeliveredAt == nil) {
		after.DeliveredAt = told.DeliveredAt
	}
	return &after
}

// progress is how far a command has come. To know of an answer is more than to know
// of none.
func progress(state registry.CommandState) int {
	switch state {
	case registry.CommandQueued:
		return 0
	case registry.CommandSent:
		return 1
	case registry.CommandAcknowledged, registry.CommandFailed:
		return 3
	}
	return 2
}
