package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/holon-registry/holon/registry"
)

// streamIn is one message of a client:
//
//	{"authorization": "Bearer hk_…"}                       only as the first one
//	{"seq": 1, "readings": [{"device": "…", "values": {…}}]}
//	{"seq": 2, "raw": {"device": "…", "content": "base64"}}
//	{"seq": 3, "reply": {"device": "…", "id": "…", "status": "ok", "result": …}}
//	{"subscribe": {"commands": ["…"], "desired": ["…"]}}
//	{"unsubscribe": {"commands": ["…"], "desired": ["…"]}}
type streamIn struct {
	seq    int64 // 0 if there is none
	what   string
	at     time.Time
	size   int64
	digest string
	// parsed is what is in readings, body what is in anything else.
	parsed Submission
	body   []byte
	// wrong says why a message with a seq cannot be taken.
	wrong string
}

// maxSeq is the largest whole number that all who speak JSON agree on.
const maxSeq = 1<<53 - 1

// parseStream reads a message. Its error is one that nobody could be told by seq.
func parseStream(data []byte) (streamIn, error) {
	m := streamIn{size: int64(len(data))}
	p := newParser(data, "")
	defer p.free()
	p.space()
	if p.next() != '{' {
		return m, errors.New("a message is a JSON object")
	}
	p.object(func(key []byte) {
		switch string(key) {
		case "seq":
			if m.seq != 0 {
				m.wrong = "seq stands twice"
			}
			m.seq = p.readSeq()
		case "readings", "raw", "reply", "subscribe", "unsubscribe", "authorization":
			if m.what != "" {
				m.wrong = "a message is about one thing, not about " + m.what + " and " + string(key)
			}
			if m.what = string(key); m.what != "readings" {
				start := p.pos
				p.skip(0)
				m.body = p.data[start:p.pos]
			} else if p.next() == '[' {
				p.list()
			} else {
				p.reading()
			}
		default:
			m.wrong = "a message has no field " + strconv.Quote(shorten(string(key), 64))
			p.skip(0)
		}
	})
	if p.err == nil && p.space() < len(p.data) {
		p.syntax("nothing may follow the message")
	}
	switch {
	case p.err != nil:
		m.wrong = p.err.Error()
	case m.what == "":
		if m.wrong == "" {
			m.wrong = "a message has readings, raw, reply, subscribe or unsubscribe"
		}
	case isKept(m.what) != (m.seq > 0):
		m.seq, m.wrong = 0, m.what+" and seq: readings, raw and reply have a seq, a whole number from 1 to "+strconv.Itoa(maxSeq)+", the others have none"
	}
	if m.seq == 0 && m.wrong != "" {
		return m, errors.New(m.wrong)
	}
	if m.seq > 0 {
		sum := sha256.Sum256(data)
		m.digest = hex.EncodeToString(sum[:8])
	}
	m.parsed = p.out
	return m, nil
}

// readSeq reads the number of a message, 0 if it is none.
func (p *parser) readSeq() int64 {
	if c := p.next(); c < '0' || c > '9' {
		p.skip(0)
		return 0
	}
	n, err := strconv.ParseInt(string(p.number()), 10, 64)
	if err != nil || n > maxSeq {
		return 0
	}
	return n
}

// streamRaw is a payload to decode.
type streamRaw struct {
	Device      string  `json:"device"`
	Template    string  `json:"template"`
	ContentType string  `json:"contentType"`
	Content     []byte  `json:"content"`
	Text        *string `json:"text"`
}

// rawOf reads a payload, or says what is wrong with it.
func rawOf(body []byte, at time.Time) (m rawMessage, wrong string) {
	var raw streamRaw
	if err := strictly(body, &raw); err != nil {
		return m, `raw is {"device" or "template": "…", "content": "base64" or "text": "…", "contentType": "…"}`
	}
	if (raw.Device == "") == (raw.Template == "") {
		return m, "a payload names its device, or the template by which it names its devices itself"
	}
	if raw.Text != nil {
		if raw.Content != nil {
			return m, "a payload has content or text, not both"
		}
		raw.Content = []byte(*raw.Text)
	}
	if len(raw.Content) > maxPayload {
		return m, "a payload has at most " + strconv.Itoa(maxPayload) + " bytes"
	}
	return rawMessage{reference: raw.Device, template: raw.Template, content: raw.Content, contentType: raw.ContentType, receivedAt: at}, ""
}

// strictly reads JSON without unknown fields.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// streamTopics are the devices of which a client wants to be told.
type streamTopics struct {
	Commands []string `json:"commands"`
	Desired  []string `json:"desired"`
}

// streamOut is one message to a client; one field is set, or the first two.
type streamOut struct {
	Resume       *int64         `json:"resume,omitempty"`
	Refused      []int64        `json:"refused,omitempty"`
	Ack          int64          `json:"ack,omitempty"`
	Error        *streamRefusal `json:"error,omitempty"`
	Busy         int            `json:"busy,omitempty"`
	Subscribed   *streamTopics  `json:"subscribed,omitempty"`
	Unsubscribed *streamTopics  `json:"unsubscribed,omitempty"`
	Command      *streamCommand `json:"command,omitempty"`
	Desired      *streamDesired `json:"desired,omitempty"`
}

// streamRefusal says of a message what HTTP says of a request.
type streamRefusal struct {
	Seq int64 `json:"seq,omitempty"`
	httpAnswer
}

type streamCommand struct {
	Device     string         `json:"device"`
	ID         registry.ID    `json:"id"`
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters"`
	ExpiresAt  time.Time      `json:"expiresAt"`
}

type streamDesired struct {
	Device    string         `json:"device"`
	Version   int            `json:"version"`
	Values    map[string]any `json:"values"`
	UpdatedAt time.Time      `json:"updatedAt"`
}

// refusalOf is the answer to a message that an error is about.
func refusalOf(err error, faults []Fault) *httpAnswer {
	answer := &httpAnswer{Code: string(registry.CodeOf(err)), Errors: httpFaults(faults)}
	if e, ok := errors.AsType[*registry.Error](err); ok {
		answer.Message = e.Message
	}
	return answer
}
