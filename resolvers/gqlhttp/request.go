package gqlhttp

import (
	"context"

	"github.com/google/uuid"
)

// requestHeader carries the id of a request, of the caller's choice or ours. It
// is in the answer, in the log, and in the history of what the request changed.
const requestHeader = "X-Request-Id"

// longestRequestID bounds an id that a caller chooses.
const longestRequestID = 64

type requestKey struct{}

// RequestID is the id of the HTTP request, or of the operation on a socket, that
// a context belongs to; empty if it belongs to none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// withRequestID gives a context the id that the caller sent, or a new one if
// that is none: 1 to 64 printable ASCII characters.
func withRequestID(ctx context.Context, sent string) (context.Context, string) {
	if !isRequestID(sent) {
		sent = uuid.NewString()
	}
	return context.WithValue(ctx, requestKey{}, sent), sent
}

func isRequestID(text string) bool {
	if text == "" || len(text) > longestRequestID {
		return false
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
