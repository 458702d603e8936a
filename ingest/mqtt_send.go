package ingest

import (
	"bytes"
	"errors"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// outgoing is a message for a client.
type outgoing struct {
	topic   string
	payload []byte
	retain  bool
	// acked is called once, with the reason of the PUBACK; nil asks for none.
	acked func(reason byte)
}

var (
	// errUnsent means that certainly nothing was sent, errGone that nobody knows.
	errUnsent = errors.New("the message was not sent")
	errGone   = errors.New("the client has gone")
)

// publish sends a message. All that Holon itself tells a client goes this way, and
// not by the library, which knows of one deadline only: the one of the last
// acknowledgement, which may have passed.
func (s *mqttSession) publish(m outgoing) error {
	if s.client.Closed() {
		return errUnsent
	}
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: m.retain}, ProtocolVersion: s.client.Properties.ProtocolVersion,
		TopicName: m.topic, Payload: m.payload,
	}
	if m.acked != nil {
		id, err := s.number(m.acked)
		if err != nil {
			return errors.Join(errUnsent, err)
		}
		pk.FixedHeader.Qos, pk.PacketID = 1, id
	}
	var out bytes.Buffer
	if err := pk.PublishEncode(&out); err != nil {
		return errors.Join(errUnsent, err)
	}
	if most := s.client.Properties.Props.MaximumPacketSize; most > 0 && uint32(out.Len()) > most {
		// As the protocol has it: what a client does not want to receive counts as sent.
		s.acknowledged(pk.PacketID, packets.ErrPacketTooLarge.Code)
		return nil
	}
	if !s.write(out.Bytes()) {
		s.client.Stop(packets.ErrServerUnavailable)
		return errGone
	}
	return nil
}

// number finds an id for a message and notes who waits for its acknowledgement.
func (s *mqttSession) number(acked func(reason byte)) (uint16, error) {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	for {
		// The library knows nothing of the messages that wait here.
		id, err := s.client.NextPacketID()
		if err != nil || len(s.acks) >= 1<<16-1 {
			return 0, packets.ErrQuotaExceeded
		}
		if s.acks[uint16(id)] == nil {
			s.acks[uint16(id)] = acked
			return uint16(id), nil
		}
	}
}

// acknowledged takes a PUBACK.
func (s *mqttSession) acknowledged(id uint16, reason byte) {
	s.ackMu.Lock()
	acked := s.acks[id]
	delete(s.acks, id)
	s.ackMu.Unlock()
	if acked != nil {
		acked(reason)
	}
}

// write sends bytes between packets of the library, under its lock, and says
// whether they were.
func (s *mqttSession) write(b []byte) bool {
	s.client.Lock()
	defer s.client.Unlock()
	// Somebody who does not read must not hold the lock for ever.
	_ = s.client.Net.Conn.SetWriteDeadline(time.Now().Add(s.hook.c.WriteTimeout))
	_, err := s.client.Net.Conn.Write(b)
	return err == nil
}
