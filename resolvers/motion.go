package resolvers

import (
	"context"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// motion makes the loaders of what moves: presence, desired states, alarms.
func (l *loaders) motion(r *Resolver, scope registry.Scope) {
	l.presence = newLoader(func(ctx context.Context, ids []registry.ID) ([]*registry.Presence, error) {
		if err := onlyNow(scope); err != nil {
			return nil, err
		}
		presences, err := r.Live.PresenceOf(ctx, scope, ids)
		if err != nil {
			return nil, err
		}
		out := make([]*registry.Presence, len(presences))
		for i := range presences {
			out[i] = &presences[i]
		}
		return out, nil
	}, nil)
	l.desired = newLoader(func(ctx context.Context, ids []registry.ID) ([]*registry.Desired, error) {
		if err := onlyNow(scope); err != nil {
			return nil, err
		}
		return r.Graph.DesiredOf(ctx, scope, ids)
	}, func(_ context.Context, desired []*registry.Desired) {
		for _, d := range desired {
			if d != nil {
				l.live.Expect(d.TwinID)
			}
		}
	})
	l.contents = newLoader(func(ctx context.Context, ids []registry.ID) ([][]byte, error) {
		return r.Graph.PayloadContents(ctx, scope, ids)
	}, nil)
	l.alarms.make = func(which alarmsAsked) *loader[registry.ID, []*registry.Alarm] {
		return newLoader(func(ctx context.Context, ids []registry.ID) ([][]*registry.Alarm, error) {
			if err := onlyNow(scope); err != nil {
				return nil, err
			}
			return r.Graph.AlarmsOf(ctx, scope, ids, which.active())
		}, nil)
	}
}

// alarmsAsked says which alarms of a twin are asked for.
type alarmsAsked string

const (
	alarmsAll     alarmsAsked = ""
	alarmsActive  alarmsAsked = "active"
	alarmsCleared alarmsAsked = "cleared"
)

func whichAlarms(active *bool) alarmsAsked {
	switch {
	case active == nil:
		return alarmsAll
	case *active:
		return alarmsActive
	}
	return alarmsCleared
}

func (a alarmsAsked) active() *bool {
	if a == alarmsAll {
		return nil
	}
	return new(a == alarmsActive)
}

// alarms makes a connection of alarms.
func (r *Resolver) alarms(ctx context.Context, f registry.AlarmFilter, request registry.PageRequest) (*generated.AlarmConnection, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	page, err := r.Graph.ListAlarms(ctx, scope, f, request)
	if err != nil {
		return nil, err
	}
	twins := make([]registry.ID, len(page.Items))
	for i, a := range page.Items {
		twins[i] = a.TwinID
	}
	loadersFrom(ctx).nodes.Expect(twins...)
	return &generated.AlarmConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, graph.AlarmKey),
		Edges: edges(page, graph.AlarmKey, func(cursor string, a *registry.Alarm) *generated.AlarmEdge {
			return &generated.AlarmEdge{Cursor: cursor, Node: a}
		}),
	}, nil
}

// commands makes a connection of the commands of a device.
func (r *Resolver) commands(ctx context.Context, device registry.ID, state *registry.CommandState, request registry.PageRequest) (*generated.CommandConnection, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	page, err := r.Graph.ListCommands(ctx, scope, device, state, request)
	if err != nil {
		return nil, err
	}
	return &generated.CommandConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, graph.CommandKey),
		Edges: edges(page, graph.CommandKey, func(cursor string, c *registry.Command) *generated.CommandEdge {
			return &generated.CommandEdge{Cursor: cursor, Node: c}
		}),
	}, nil
}

func (r *Resolver) sendCommand(ctx context.Context, in generated.SendCommandInput) (*generated.SendCommandPayload, error) {
	ref := registry.Ref{Kind: registry.KindDevice}
	switch {
	case in.DeviceID != nil && in.Device == nil:
		ref.ID = *in.DeviceID
	case in.DeviceID == nil && in.Device != nil:
		ref.Key = *in.Device
	default:
		return nil, registry.InvalidField("input.device", "exclusive", "give either device or deviceId")
	}
	command, err := r.Graph.SendCommand(ctx, scopeFrom(ctx), registry.NewCommand{Device: ref, Name: in.Name, Parameters: in.Parameters, ExpiresAfter: in.ExpiresAfter})
	if err != nil {
		return nil, err
	}
	return &generated.SendCommandPayload{Command: command}, nil
}

func (r *Resolver) setDesired(ctx context.Context, in generated.SetDesiredInput) (*generated.SetDesiredPayload, error) {
	var ref registry.Ref
	given := 0
	if in.ID != nil {
		ref, given = registry.Ref{ID: *in.ID}, given+1
	}
	if in.Device != nil {
		ref, given = registry.Ref{Kind: registry.KindDevice, Key: *in.Device}, given+1
	}
	if in.Asset != nil {
		ref, given = registry.Ref{Kind: registry.KindAsset, Key: *in.Asset}, given+1
	}
	if given != 1 {
		return nil, registry.InvalidField("input.id", "exclusive", "give one of id, device and asset")
	}
	twin, desired, err := r.Graph.SetDesired(ctx, scopeFrom(ctx), registry.NewDesired{Ref: ref, Values: in.Values, IfVersion: in.IfVersion})
	if err != nil {
		return nil, err
	}
	return &generated.SetDesiredPayload{Twin: twin, Desired: desired}, nil
}

// deltaOf are the desired values that differ from the newest ones.
func deltaOf(ctx context.Context, d *registry.Desired) (map[string]any, error) {
	live, err := loadersFrom(ctx).live.Load(ctx, d.TwinID)
	if err != nil {
		return nil, err
	}
	values := make([]registry.LiveValue, len(live))
	for i, value := range live {
		values[i] = *value
	}
	return d.Delta(values), nil
}

func commandDeclarations(in []*generated.CommandDeclarationInput) []registry.CommandDeclaration {
	if in == nil {
		return nil
	}
	out := make([]registry.CommandDeclaration, len(in))
	for i, c := range in {
		out[i] = registry.CommandDeclaration{Name: c.Name, Description: c.Description, Parameters: c.Parameters, Response: c.Response}
		if c.ExpiresAfter != nil {
			out[i].ExpiresAfterSeconds = c.ExpiresAfter.Seconds()
		}
	}
	return out
}

func alarmRules(in []*generated.AlarmRuleInput) []registry.AlarmRule {
	if in == nil {
		return nil
	}
	out := make([]registry.AlarmRule, len(in))
	for i, a := range in {
		out[i] = registry.AlarmRule{Name: a.Name, When: a.When, Trigger: a.Trigger, Severity: a.Severity, Message: a.Message, Clear: deref(a.Clear)}
		if a.For != nil {
			out[i].ForSeconds = a.For.Seconds()
		}
		if a.Within != nil {
			out[i].WithinSeconds = a.Within.Seconds()
		}
		if a.Count != nil {
			out[i].Count = *a.Count
		}
	}
	return out
}

// behaviour is what a new template says of how its twins act.
func behaviour(in generated.CreateTemplateInput) registry.Behaviour {
	out := registry.Behaviour{
		OneAsset: !in.ManyAssets, Commands: commandDeclarations(in.Commands), Alarms: alarmRules(in.Alarms), Decoder: in.Decoder,
		Provisioning: in.Provisioning, Reported: in.Reported,
	}
	if in.Silence != nil {
		out.SilenceSeconds = in.Silence.Seconds()
	}
	return out
}
