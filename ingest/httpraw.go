package ingest

import (
	"net/http"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// rawPath is what stands before the reference of a device.
const rawPath = "/v1/raw/"

// NewRawHandler serves POST /v1/raw/{device} and POST /v1/raw?template=NAME: a
// payload in a format of the sender's own, of up to 256 KiB, which the decoder of
// the device's template reads, or that of the named template, where the payload
// names its devices. The content type is the decoder's business.
//
// Packing, Idempotency-Key and ?ack=stored are those of [NewHTTPHandler], and so
// are the answers, but for one: a payload that cannot be used is a dead letter,
// and the answer is 202 {"accepted": 0, "deadLetter": true} with the errors. It is
// kept, and can be replayed when the template was mended. 404 is a device or a
// template that is not there.
func NewRawHandler(receiver *Receiver, auth Authenticator, c HTTPConfig) http.Handler {
	if c.MaxBody == 0 || c.MaxBody > maxPayload {
		c.MaxBody = maxPayload
	}
	h := newHTTPHandler(receiver, auth, c)
	h.raw = true
	return h
}

// receiveRaw takes one payload.
func (h *httpHandler) receiveRaw(w http.ResponseWriter, r *http.Request, principal *registry.Principal) (*httpAnswer, Receipt, int, error) {
	m := rawMessage{template: r.URL.Query().Get("template"), contentType: r.Header.Get("Content-Type"), receivedAt: h.receiver.now()}
	m.reference, _ = strings.CutPrefix(r.URL.Path, rawPath)
	if m.reference == r.URL.Path {
		m.reference = ""
	}
	if (m.reference == "") == (m.template == "") {
		return nil, Receipt{}, 0, &httpRefusal{http.StatusBadRequest, "a payload is sent to /v1/raw/{device}, or to /v1/raw?template=NAME if it names its devices itself"}
	}
	await, err := awaitOf(r)
	if err != nil {
		return nil, Receipt{}, 0, err
	}
	if m.content, err = h.body(w, r); err != nil {
		return nil, Receipt{}, 0, err
	}
	known, claimed, err := h.claim(r, principal, m.content)
	if err != nil || known != nil {
		return known, Receipt{}, 0, err
	}
	if claimed != nil {
		m.name = claimed.name
	}
	done, err := h.receiver.receiveRaw(r.Context(), principal, sourceHTTP, m)
	var answer *httpAnswer
	if err == nil {
		answer = &httpAnswer{Accepted: &done.accepted, Errors: httpFaults(done.faults), DeadLetter: len(done.faults) > 0}
		if answer.DeadLetter {
			answer.Code, answer.Message = string(done.faults[0].Reason), invalid(done.faults).Error()
		}
		if await {
			answer.Stored = h.await(r.Context(), done.partitions)
		}
	}
	h.settled(r.Context(), claimed, answer, err)
	return answer, Receipt{Accepted: done.accepted, Faults: done.faults}, max(done.readings, done.accepted), err
}
