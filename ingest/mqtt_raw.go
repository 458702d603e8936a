package ingest

import (
	"context"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/registry"
)

// rawTopic finds in the topic of payloads to decode the device's reference, or the
// template whose decoder finds the devices.
func rawTopic(account, topic string) (reference, template string, ok bool) {
	of, kind, name := splitTopic(topic)
	switch {
	case !strings.HasPrefix(topic, "holon/") || of != account || name == "":
		return "", "", false
	case kind == topicRaw:
		return name, "", true
	}
	return "", name, kind == topicTemplates
}

// judgeRaw decodes the payloads at some places of a batch and queues their
// readings, or the payloads themselves as dead letters. Its error is one of the
// device directory.
func (s *mqttSession) judgeRaw(ctx context.Context, principal *registry.Principal, batch []mqttMessage, places []int, verdicts []verdict) error {
	messages := make([]rawMessage, len(places))
	for i, place := range places {
		m := batch[place]
		reference, template, _ := rawTopic(principal.AccountName, m.topic)
		messages[i] = rawMessage{reference: reference, template: template, content: m.payload, contentType: m.kind, receivedAt: m.at}
	}
	checks, err := s.hook.receiver.checkRaw(ctx, principal, sourceMQTT, messages, false)
	if err != nil {
		return err
	}
	for i, place := range places {
		s.queueRaw(principal, batch[place], &messages[i], &checks[i], &verdicts[place])
	}
	return nil
}

// queueRaw puts a payload in line. A sender that can be told that there is no
// such device or template is told; what cannot be decoded is kept for when its template was
// mended.
func (s *mqttSession) queueRaw(principal *registry.Principal, m mqttMessage, raw *rawMessage, c *rawCheck, v *verdict) {
	v.readings = len(c.readings)
	if c.astray {
		switch {
		case principal.Bound():
			v.code, v.message = packets.ErrNotAuthorized, c.faults[0].Message
			return
		case m.qos > 0 && s.client.Properties.ProtocolVersion == 5:
			v.code, v.message = packets.ErrPayloadFormatInvalid, c.faults[0].Message
			return
		}
	}
	v.refused = len(c.faults) > 0
	ticket, err := s.hook.receiver.queue.enqueue(s.hook.receiver.queued(principal.Scope, sourceMQTT, raw, c))
	if err != nil {
		s.hook.c.Logger.Error().Err(err).Str("topic", m.topic).Msg("readings cannot be encoded")
		v.code = errQueueDown
		return
	}
	v.ticket = ticket
}
