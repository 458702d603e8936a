package ingest

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// readingsKind says what readings are sent as.
func readingsKind(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "application/x-ndjson" {
		return "", &httpRefusal{http.StatusUnsupportedMediaType, "readings are sent as application/json or application/x-ndjson"}
	}
	return kind, nil
}

// body reads the body of a request, packed or not.
func (h *httpHandler) body(w http.ResponseWriter, r *http.Request) (body []byte, err error) {
	packed := false
	switch e := r.Header.Get("Content-Encoding"); {
	case e == "" || strings.EqualFold(e, "identity"):
	case strings.EqualFold(e, "gzip"):
		packed = true
	default:
		w.Header().Set("Accept-Encoding", "gzip")
		return nil, &httpRefusal{http.StatusUnsupportedMediaType, "a body is sent plain, or with the content encoding gzip"}
	}
	limited := http.MaxBytesReader(w, r.Body, h.c.MaxBody)
	switch n := r.ContentLength; {
	case packed:
		body, err = h.unpack(limited)
	case n > 0 && n <= h.c.MaxBody:
		body = make([]byte, n)
		_, err = io.ReadFull(limited, body)
	default:
		body, err = io.ReadAll(limited)
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, h.tooLarge()
	}
	if refusal, ok := errors.AsType[*httpRefusal](err); ok {
		return nil, refusal
	}
	if err != nil {
		return nil, &httpRefusal{http.StatusBadRequest, "the request's body cannot be read"}
	}
	return body, nil
}

// unpack reads a gzip body. What comes out of it is bounded as a plain body is:
// a few bytes can unpack to any number.
func (h *httpHandler) unpack(r io.Reader) ([]byte, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(unpacked, h.c.MaxBody+1))
	if err == nil && int64(len(body)) > h.c.MaxBody {
		return nil, h.tooLarge()
	}
	return body, err
}

func (h *httpHandler) tooLarge() *httpRefusal {
	return &httpRefusal{http.StatusRequestEntityTooLarge, "a request has at most " + strconv.FormatInt(h.c.MaxBody, 10) + " bytes, unpacked"}
}

func parseBody(kind string, body []byte) Submission {
	if kind == "application/json" {
		return ParseJSON(body, "")
	}
	return ParseLines(body)
}
