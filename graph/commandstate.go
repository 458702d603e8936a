package graph

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

// A command goes from one state to the next in changes of its account, so that
// of two gateways that want to send it one finds that the other does.

var commandsDue = named("command.due", `
	MATCH (c:Command)
	WHERE c.openUntil <= $now
	WITH c LIMIT $limit
	WITH c.account AS account, collect(c.id) AS ids
	RETURN collect({account: account, ids: ids}) AS accounts`)

// expiredAtOnce is how many commands expire in one turn.
const expiredAtOnce = 500

// advance changes commands under the journal's lock. Step changes the copy that
// it is given and says what it did, or nothing.
func (s *Store) advance(ctx context.Context, scope registry.Scope, name string, find func(context.Context, *transaction) ([]*registry.Command, error), step func(tx *transaction, c *registry.Command) (action string, err error)) ([]*registry.Command, error) {
	var changed []*registry.Command
	err := change(ctx, s, scope, name, func(ctx context.Context, tx *transaction) error {
		changed = nil
		found, err := find(ctx, tx)
		if err != nil {
			return err
		}
		var rows []any
		for _, before := range found {
			if before == nil {
				continue
			}
			after := *before
			action, err := step(tx, &after)
			if err != nil {
				return err
			}
			if action == "" {
				continue
			}
			after.Version++
			if !after.State.Open() && after.EndedAt == nil {
				at := tx.at
				after.EndedAt = &at
			}
			row, err := commandProperties(&after)
			if err != nil {
				return err
			}
			rows = append(rows, row)
			tx.recordCommand(registry.ChangeUpdate, action, before, &after)
			changed = append(changed, &after)
		}
		if len(rows) == 0 {
			return nil
		}
		return nothing(ctx, tx, commandUpdate, params{"rows": rows})
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return changed, nil
}

// byIDs finds commands by their ids.
func (s *Store) byIDs(ids ...registry.ID) func(context.Context, *transaction) ([]*registry.Command, error) {
	return func(ctx context.Context, tx *transaction) ([]*registry.Command, error) {
		return s.commands(ctx, tx, ids)
	}
}

// ClaimCommands marks commands that wait for a device as sent, the oldest first,
// and returns them: only who claims a command gives it to the device. What has
// expired is not claimed.
func (s *Store) ClaimCommands(ctx context.Context, scope registry.Scope, device registry.ID, most int) ([]*registry.Command, error) {
	queued := func(ctx context.Context, r runner) ([]*registry.Command, error) {
		found, _, err := one(ctx, r, commandsQueued, params{"device": string(device), "limit": most}, commandsIn)
		return found, err
	}
	// Mostly there is none: that takes no turn of the account's writers.
	if found, err := queued(ctx, s.reading(scope)); err != nil || len(found) == 0 {
		return nil, err
	}
	find := func(ctx context.Context, tx *transaction) ([]*registry.Command, error) { return queued(ctx, tx) }
	return s.advance(ctx, scope, "command.claim", find, func(tx *transaction, c *registry.Command) (string, error) {
		if !c.ExpiresAt.After(tx.at) {
			return "", nil
		}
		at := tx.at
		c.State, c.SentAt = registry.CommandSent, &at
		return "sent", nil
	})
}

// ReturnCommand puts a command back that was claimed and certainly not given to
// the device.
func (s *Store) ReturnCommand(ctx context.Context, scope registry.Scope, id registry.ID) error {
	_, err := s.advance(ctx, scope, "command.return", s.byIDs(id), func(_ *transaction, c *registry.Command) (string, error) {
		if c.State != registry.CommandSent || c.DeliveredAt != nil {
			return "", nil
		}
		c.State, c.SentAt = registry.CommandQueued, nil
		return "returned", nil
	})
	return err
}

// CommandDelivered notes that the device's end of the connection has a command.
func (s *Store) CommandDelivered(ctx context.Context, scope registry.Scope, id registry.ID) error {
	_, err := s.advance(ctx, scope, "command.deliver", s.byIDs(id), func(tx *transaction, c *registry.Command) (string, error) {
		if c.SentAt == nil || c.DeliveredAt != nil {
			return "", nil
		}
		at := tx.at
		c.DeliveredAt = &at
		return "delivered", nil
	})
	return err
}

// ReplyCommand takes a device's answer to a command that was sent to it. A result
// that the declaration has something against makes it FAILED. An answer that
// comes twice, or too late, changes nothing. NOT_FOUND if the command is no
// command of the device.
func (s *Store) ReplyCommand(ctx context.Context, scope registry.Scope, device registry.ID, reply registry.CommandReply) error {
	result, violation := jsonschema.Plain("result", reply.Result)
	if violation != nil {
		return registry.Invalid(*violation)
	}
	known := false
	_, err := s.advance(ctx, scope, "command.reply", s.byIDs(reply.ID), func(tx *transaction, c *registry.Command) (string, error) {
		if c.DeviceID != device {
			return "", nil
		}
		if known = true; c.State != registry.CommandSent {
			return "", nil
		}
		c.Result = result
		if c.DeliveredAt == nil {
			at := tx.at
			c.DeliveredAt = &at
		}
		wrong, err := s.responseViolations(ctx, tx, scope, c)
		switch {
		case err != nil:
			return "", err
		case reply.Failed:
			c.State, c.Error = registry.CommandFailed, new(cmp.Or(reply.Error, "the device could not do it"))
		case len(wrong) > 0:
			c.State, c.Error = registry.CommandFailed, new("the answer is none: "+wrong[0].Path+" "+wrong[0].Message)
		default:
			c.State = registry.CommandAcknowledged
			return "acknowledged", nil
		}
		return "failed", nil
	})
	if err == nil && !known {
		return registry.NotFound("command", string(reply.ID))
	}
	return err
}

// responseViolations is what the declaration of a command has against its result.
func (s *Store) responseViolations(ctx context.Context, tx *transaction, scope registry.Scope, c *registry.Command) ([]registry.Violation, error) {
	at, err := s.twinIn(ctx, tx, scope, registry.Ref{ID: c.DeviceID, Kind: registry.KindDevice})
	if registry.CodeOf(err) == registry.CodeNotFound {
		return nil, nil // deleted meanwhile: nothing is known of what it answers
	}
	if err != nil {
		return nil, err
	}
	declared, ok := at.template.Command(c.Name)
	if !ok || declared.Response == nil {
		return nil, nil
	}
	return jsonschema.CheckValue("result", declared.Response, c.Result), nil
}

// CancelCommand takes a command back. What was sent already is
// FAILED_PRECONDITION.
func (s *Store) CancelCommand(ctx context.Context, scope registry.Scope, id registry.ID) (*registry.Command, error) {
	var out *registry.Command
	_, err := s.advance(ctx, scope, "command.cancel", s.byIDs(id), func(_ *transaction, c *registry.Command) (string, error) {
		out = c
		switch c.State {
		case registry.CommandQueued:
			c.State = registry.CommandCancelled
			return "cancelled", nil
		case registry.CommandCancelled:
			return "", nil
		}
		return "", registry.FailedPrecondition("the command is %s already", c.State)
	})
	if err == nil && out == nil {
		return nil, registry.NotFound("command", string(id))
	}
	return out, err
}

// ExpireCommands ends, until the context does, commands that had no answer in
// time. One process at a time works.
func (s *Store) ExpireCommands(ctx context.Context) error {
	return s.inTurns(ctx, "commands.expire", time.Second, 30*time.Second, s.expireSome)
}

// expireSome ends some of the commands that are due, and says whether there may
// be more.
func (s *Store) expireSome(ctx context.Context) (more bool, err error) {
	due := map[registry.ID][]registry.ID{}
	n := 0
	_, _, err = one(ctx, s.reading(registry.Scope{}), commandsDue, params{"now": s.now(), "limit": expiredAtOnce}, func(f fields) struct{} {
		for _, row := range f.maps("accounts") {
			due[row.id("account")] = row.ids("ids")
			n += len(row.ids("ids"))
		}
		return struct{}{}
	})
	if err != nil {
		return false, fmt.Errorf("commands that expire: %w", err)
	}
	for account, ids := range due {
		_, err := s.advance(ctx, registry.Scope{Account: account}, "command.expire", s.byIDs(ids...), func(tx *transaction, c *registry.Command) (string, error) {
			if !c.State.Open() || c.ExpiresAt.After(tx.at) {
				return "", nil
			}
			c.State = registry.CommandExpired
			return "expired", nil
		})
		if err != nil {
			return false, err
		}
	}
	return n == expiredAtOnce, nil
}
