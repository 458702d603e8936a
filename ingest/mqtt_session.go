package ingest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/registry"
)

// mqttMessage is a PUBLISH that is not answered yet.
type mqttMessage struct {
	id      uint16
	qos     byte
	topic   string
	payload []byte
	// kind is the content type that its sender gave.
	kind string
	at   time.Time
}

// mqttSession takes the messages of one client: all that have come while the
// last ones were being queued go together, and are acknowledged in their order
// with one write.
type mqttSession struct {
	hook     *mqttHook
	client   *mqtt.Client
	secret   string
	messages chan mqttMessage
	// ended is closed when no more messages come.
	ended   chan struct{}
	started atomic.Bool
	// down sends the client what there is for its devices.
	down *downlink
	// acks are called when the client has acknowledged what it was sent, by packet id.
	ackMu sync.Mutex
	acks  map[uint16]func(reason byte)
	// device is set where the key says whose session it is.
	device *registry.DeviceSession
	// gone means that the client was disconnected: the rest is dropped, and the
	// client sends it again.
	gone bool

	// name is the client's own name, clean whether it began anew, lasts how long it
	// is remembered when it has gone, resumed whether it was when it came, and
	// forgotten whether it no longer wants to be.
	name      string
	clean     bool
	lasts     time.Duration
	resumed   bool
	forgotten atomic.Bool
	// follower tells the client of changes; nil if it has not subscribed.
	follower atomic.Pointer[mqttFollower]
	// filters are those of the SUBSCRIBE at hand, with what becomes of them.
	filters map[string]packets.Code
}

func (s *mqttSession) run() {
	for {
		select {
		case m := <-s.messages:
			s.take(s.gather(m))
		case <-s.ended:
			for len(s.messages) > 0 {
				s.take(s.gather(<-s.messages))
			}
			return
		}
	}
}

// gather adds to a message what else has come.
func (s *mqttSession) gather(first mqttMessage) []mqttMessage {
	batch := []mqttMessage{first}
	for {
		select {
		case m := <-s.messages:
			batch = append(batch, m)
		default:
			return batch
		}
	}
}

// verdict says what becomes of a message.
type verdict struct {
	code    packets.Code
	message string
	// readings counts those of the message.
	readings int
	ticket   *ticket
	refused  bool // it goes to the dead letters
}

// errQueueDown is a verdict of this side only: the client gets no answer to the
// message, and is disconnected.
var errQueueDown = packets.ErrServerUnavailable

func (s *mqttSession) take(batch []mqttMessage) {
	if s.gone {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	verdicts := make([]verdict, len(batch))
	principal, err := s.principal(ctx)
	if err == nil {
		err = s.judge(ctx, principal, batch, verdicts)
	}
	if err != nil {
		code := errQueueDown
		if c := registry.CodeOf(err); c == registry.CodeUnauthenticated || c == registry.CodeForbidden {
			code = packets.ErrNotAuthorized
		}
		s.hook.c.Logger.Warn().Err(err).Int("messages", len(batch)).Msg("an MQTT client's messages could not be taken")
		for i := range batch {
			s.observe(batch[i], verdict{code: code})
		}
		s.disconnect(code)
		return
	}
	s.answer(batch, verdicts)
}

// judge checks the messages and queues those that are right, and waits for the
// queue. Its error is one of the device directory.
func (s *mqttSession) judge(ctx context.Context, principal *registry.Principal, batch []mqttMessage, verdicts []verdict) error {
	prefix := "holon/" + principal.AccountName + "/readings/"
	messages := make([]deviceMessage, 0, len(batch))
	places := make([]int, 0, len(batch)) // of the messages in the batch
	var raw []int
	for i := range batch {
		if _, _, ok := rawTopic(principal.AccountName, batch[i].topic); ok {
			raw = append(raw, i)
			continue
		}
		if reference, ok := replyTopic(principal.AccountName, batch[i].topic); ok {
			verdicts[i] = s.reply(ctx, principal, reference, batch[i].payload)
			continue
		}
		reference, ok := strings.CutPrefix(batch[i].topic, prefix)
		if batch[i].topic+"/" == prefix {
			// The readings say themselves what they are of.
			reference = ""
		} else if !ok || reference == "" {
			verdicts[i] = verdict{code: packets.ErrNotAuthorized, message: "readings go to " + prefix + "{reference}, or without it if they name their device or asset; payloads to decode go to holon/" + principal.AccountName + "/raw/{reference}, or to /templates/{template} if they name their devices"}
			continue
		}
		messages, places = append(messages, deviceMessage{reference, batch[i].payload}), append(places, i)
	}
	checks, err := s.hook.receiver.checkMessages(ctx, principal, sourceMQTT, messages)
	if err != nil {
		return err
	}
	if err := s.judgeRaw(ctx, principal, batch, raw, verdicts); err != nil {
		return err
	}
	for i, place := range places {
		s.queue(principal, batch[place], messages[i], checks[i], &verdicts[place])
	}
	for i := range verdicts {
		v := &verdicts[i]
		if v.ticket == nil {
			continue
		}
		if err := v.ticket.wait(); registry.CodeOf(err) == registry.CodeLimitExceeded {
			v.code, v.message = packets.ErrQuotaExceeded, err.Error()
		} else if err != nil {
			v.code = errQueueDown
		}
	}
	return nil
}

// queue puts the readings of a message in line, or the message itself as a dead
// letter where its sender cannot be told what is wrong.
func (s *mqttSession) queue(principal *registry.Principal, m mqttMessage, d deviceMessage, c messageCheck, v *verdict) {
	readings := c.readings
	v.readings = len(readings)
	if len(c.faults) > 0 {
		unknown := slices.IndexFunc(c.faults, unknownDevice)
		switch {
		case unknown >= 0 && principal.Bound():
			v.code, v.message = packets.ErrNotAuthorized, c.faults[unknown].Message
			return
		case m.qos > 0 && s.client.Properties.ProtocolVersion == 5:
			v.code, v.message = packets.ErrPayloadFormatInvalid, invalid(c.faults).Error()
			return
		}
		v.refused = true
		readings = []registry.AcceptedReading{deadLetter(principal.Scope, sourceMQTT, d, c.faults)}
	}
	ticket, err := s.hook.receiver.queue.enqueue(readings)
	if err != nil {
		s.hook.c.Logger.Error().Err(err).Str("topic", m.topic).Msg("readings cannot be encoded")
		v.code = errQueueDown
		return
	}
	v.ticket = ticket
}

// answer acknowledges messages in their order, with one write, and disconnects
// the client if there is something that it cannot be told otherwise.
func (s *mqttSession) answer(batch []mqttMessage, verdicts []verdict) {
	var out bytes.Buffer
	var end packets.Code
	five := s.client.Properties.ProtocolVersion == 5
	for i := range batch {
		m, v := batch[i], verdicts[i]
		s.observe(m, v)
		switch {
		case v.code == errQueueDown:
			end = v.code
		case m.qos == 0:
			if v.code == packets.ErrNotAuthorized && !five {
				end = v.code
			}
		case v.code.Code == 0:
			out.Write([]byte{packets.Puback << 4, 2, byte(m.id >> 8), byte(m.id)})
		case five:
			s.refuse(&out, m.id, v)
		default:
			end = v.code
		}
	}
	if out.Len() > 0 {
		s.write(out.Bytes()) // a client that is gone sends again
	}
	if end.Code != 0 {
		s.disconnect(end)
	}
}

// refuse encodes a PUBACK with a reason.
func (s *mqttSession) refuse(out *bytes.Buffer, id uint16, v verdict) {
	props := &s.client.Properties.Props
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Puback}, ProtocolVersion: 5, PacketID: id, ReasonCode: v.code.Code,
		Properties: packets.Properties{ReasonString: shorten(v.message, 1024)},
	}
	pk.Mods.MaxSize = props.MaximumPacketSize
	pk.Mods.DisallowProblemInfo = props.RequestProblemInfoFlag && props.RequestProblemInfo == 0
	_ = pk.PubackEncode(out) // writes to memory
}

func (s *mqttSession) disconnect(code packets.Code) {
	s.gone = true
	s.hangUp(code)
}

// hangUp ends the connection, with the reason if the client understands it.
func (s *mqttSession) hangUp(code packets.Code) {
	if s.client.Properties.ProtocolVersion == 5 {
		_ = s.client.Net.Conn.SetWriteDeadline(time.Now().Add(s.hook.c.WriteTimeout)) // that of the last answer may have passed
		_ = s.hook.server.DisconnectClient(s.client, code)                            // returns what it was given
	}
	s.client.Stop(code)
}

func (s *mqttSession) observe(m mqttMessage, v verdict) {
	switch {
	case v.refused && v.code.Code == 0:
		s.hook.receiver.observe(sourceMQTT, answerDeadLetter, m.at, 0, max(v.readings, 1))
	case v.code.Code == 0:
		s.hook.receiver.observe(sourceMQTT, answerAccepted, m.at, v.readings, 0)
	default:
		s.hook.receiver.observe(sourceMQTT, mqttAnswers[v.code], m.at, 0, max(v.readings, 1))
	}
}

// mqttAnswers names answers for metrics.
var mqttAnswers = map[packets.Code]string{
	packets.ErrPayloadFormatInvalid: "invalid", packets.ErrNotAuthorized: "forbidden",
	packets.ErrQuotaExceeded: "full", errQueueDown: "unavailable",
}
