package ingest

import (
	"context"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/registry"
)

// replyTopic finds the device's reference in the topic of answers to commands.
func replyTopic(account, topic string) (reference string, ok bool) {
	rest, ok := strings.CutPrefix(topic, "holon/"+account+"/commands/")
	if !ok {
		return "", false
	}
	reference, ok = strings.CutSuffix(rest, "/replies")
	return reference, ok && reference != ""
}

// reply takes a device's answer to a command.
func (s *mqttSession) reply(ctx context.Context, principal *registry.Principal, reference string, payload []byte) verdict {
	if s.hook.c.Downlink == nil {
		return verdict{code: packets.ErrNotAuthorized}
	}
	device, err := s.hook.receiver.deviceFor(ctx, principal, reference)
	switch {
	case err != nil:
		return verdict{code: errQueueDown}
	case device == nil:
		return verdict{code: packets.ErrNotAuthorized, message: "there is no such device"}
	}
	answer, violation := replyOf(payload)
	if violation != "" {
		return verdict{code: packets.ErrPayloadFormatInvalid, message: violation}
	}
	err = s.hook.c.Downlink.ReplyCommand(ctx, principal.Scope, device.ID, answer)
	if err == nil {
		return verdict{}
	}
	switch registry.CodeOf(err) {
	case registry.CodeNotFound, registry.CodeInvalid:
		return verdict{code: packets.ErrPayloadFormatInvalid, message: err.Error()}
	}
	s.hook.c.Logger.Warn().Err(err).Str("device", reference).Msg("an answer to a command could not be taken")
	return verdict{code: errQueueDown}
}
