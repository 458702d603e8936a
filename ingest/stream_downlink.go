package ingest

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/holon-registry/holon/registry"
)

// subscribe begins to send what there is for devices, or ends it. All that is
// asked for is done, or nothing.
func (s *streamSession) subscribe(m streamIn) {
	var topics streamTopics
	if err := strictly(m.body, &topics); err != nil {
		s.refuse(registry.InvalidField(m.what, "type", `%s is {"commands": ["…"], "desired": ["…"]}: the references of devices`, m.what), nil)
		return
	}
	if len(topics.Commands)+len(topics.Desired) > 2*maxDownlinks {
		s.refuse(tooManyDownlinks(), nil)
		return
	}
	if m.what == "unsubscribe" {
		s.down.drop(func(sub *downSub) {
			if slices.Contains(topics.Commands, sub.commands.name) {
				sub.commands = downTo{}
			}
			if slices.Contains(topics.Desired, sub.desired.name) {
				sub.desired = downTo{}
			}
		})
		s.send(streamOut{Unsubscribed: &topics})
		return
	}
	devices, faults, err := s.devicesOf(topics)
	if err != nil {
		s.hub.c.Logger.Debug().Err(err).Msg("a WebSocket's client cannot subscribe")
		s.refuse(err, faults)
		return
	}
	for i, device := range devices {
		s.down.follow(device, func(sub *downSub) {
			if i < len(topics.Commands) {
				sub.commands = downTo{topics.Commands[i], true}
			} else {
				sub.desired, sub.version = downTo{topics.Desired[i-len(topics.Commands)], false}, 0
			}
		})
	}
	if s.send(streamOut{Subscribed: &topics}) {
		s.following.Do(func() { s.work.Go(s.down.run) })
		s.down.nudge()
	}
}

// refuse answers a message that has no seq.
func (s *streamSession) refuse(err error, faults []Fault) {
	s.send(streamOut{Error: &streamRefusal{0, *refusalOf(err, faults)}})
}

// devicesOf finds the devices of some references, first those for commands.
func (s *streamSession) devicesOf(topics streamTopics) ([]registry.ID, []Fault, error) {
	if s.hub.c.Downlink == nil {
		return nil, nil, &registry.Error{Code: registry.CodeForbidden, Message: "devices are told nothing here"}
	}
	references := slices.Concat(topics.Commands, topics.Desired)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	principal, err := s.principal(ctx)
	if err != nil {
		return nil, nil, err
	}
	found, err := s.hub.receiver.devicesFor(ctx, principal, references)
	if err != nil {
		return nil, nil, err
	}
	var faults []Fault
	devices := make([]registry.ID, len(found))
	for i, device := range found {
		if device != nil {
			devices[i] = device.ID
			continue
		}
		path := "subscribe.commands[" + strconv.Itoa(i) + "]"
		if n := len(topics.Commands); i >= n {
			path = "subscribe.desired[" + strconv.Itoa(i-n) + "]"
		}
		faults = append(faults, Fault{0, registry.ReasonUnknownDevice, registry.Violation{Path: path, Rule: ruleUnknown,
			Message: "there is no device " + strconv.Quote(shorten(references[i], maxReference)) + " that this key may speak for"}})
	}
	if len(faults) > 0 {
		return nil, faults, &registry.Error{Code: registry.CodeNotFound, Message: faults[0].Message}
	}
	for _, device := range devices {
		if !s.down.expect(device) {
			s.down.drop(func(*downSub) {}) // those that were expected only
			return nil, nil, tooManyDownlinks()
		}
	}
	return devices, nil, nil
}

func tooManyDownlinks() error {
	return registry.LimitExceeded("a connection follows at most %d devices", maxDownlinks)
}

// sendCommand implements downLine. A client that answers the ping behind a command
// has the command.
func (s *streamSession) sendCommand(to downTo, c *registry.Command) (sent bool, arrived <-chan bool) {
	if s.closed() {
		return false, nil
	}
	answer := make(chan bool, 1)
	if !s.send(streamOut{Command: &streamCommand{to.name, c.ID, c.Name, c.Parameters, c.ExpiresAt}}) {
		answer <- false
		return true, answer // nobody knows
	}
	s.work.Go(func() { answer <- s.answers(arriveFor) })
	return true, answer
}

// sendDesired implements downLine.
func (s *streamSession) sendDesired(to downTo, d *registry.Desired, _ bool) bool {
	return s.send(streamOut{Desired: &streamDesired{to.name, d.Version, d.Values, d.UpdatedAt}})
}

// reply takes a device's answer to a command.
func (s *streamSession) reply(ctx context.Context, principal *registry.Principal, m *streamIn, f *streamFate) error {
	f.label = answerAccepted
	var of struct {
		Device string `json:"device"`
	}
	answer, wrong := replyOf(m.body)
	if err := json.Unmarshal(m.body, &of); wrong != "" || err != nil || of.Device == "" {
		f.refuse(registry.InvalidField("reply", "type", `an answer is {"device": "…", "id": "…", "status": "ok" or "failed", "result": …}`), nil)
		return nil
	}
	if s.hub.c.Downlink == nil {
		f.refuse(&registry.Error{Code: registry.CodeForbidden, Message: "devices are told nothing here"}, nil)
		return nil
	}
	devices, err := s.hub.receiver.devicesFor(ctx, principal, []string{of.Device})
	if err != nil {
		return err
	}
	if devices[0] == nil {
		f.refuse(registry.NotFound("device", of.Device), nil)
		return nil
	}
	err = s.hub.c.Downlink.ReplyCommand(ctx, principal.Scope, devices[0].ID, answer)
	switch registry.CodeOf(err) {
	case registry.CodeNotFound, registry.CodeInvalid:
		f.refuse(err, nil)
		return nil
	}
	f.settled = err == nil
	return err
}
