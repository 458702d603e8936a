package gqlhttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/holon-registry/holon/registry"
)

// httpTransport is GraphQL over HTTP, GET and POST. The media type of the
// answer is already in the response's header.
type httpTransport struct {
	limits    Limits
	presenter presenter
}

var _ graphql.Transport = httpTransport{}

// Supports takes every request that is no socket: Server lets no other methods
// through.
func (httpTransport) Supports(r *http.Request) bool { return !isUpgrade(r) }

// Do runs the operation of one request.
func (t httpTransport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	read := t.post
	if r.Method == http.MethodGet {
		read = t.get
	}
	start := graphql.Now()
	params, status, problem := read(w, r)
	if problem != nil {
		refuse(w, status, problem)
		return
	}
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}

	op, errs := exec.CreateOperationContext(ctx, params)
	if errs != nil {
		answer(w, exec.DispatchError(graphql.WithOperationContext(ctx, op), errs))
		return
	}
	switch {
	case op.Operation.Operation == ast.Subscription:
		refuse(w, http.StatusBadRequest, invalid("a subscription needs a WebSocket with the subprotocol %s", subprotocol))
		return
	case op.Operation.Operation == ast.Mutation && r.Method == http.MethodGet:
		w.Header().Set("Allow", "POST")
		refuse(w, http.StatusMethodNotAllowed, invalid("a mutation needs POST"))
		return
	}
	responses, ctx := exec.DispatchOperation(ctx, op)
	answer(w, t.presenter.orCause(ctx, responses(ctx)))
}

// answer sends what the executor says of a GraphQL request. Where nothing ran,
// only application/graphql-response+json tells so by the status.
func answer(w http.ResponseWriter, response *graphql.Response) {
	status := http.StatusOK
	if response.Data == nil && w.Header().Get("Content-Type") == typeResponse {
		status = http.StatusBadRequest
	}
	write(w, status, response)
}

// post reads the parameters from the body, with the status to refuse it with.
func (t httpTransport) post(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, int, *registry.Error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != typeJSON || !isUTF8(params["charset"]) {
		return nil, http.StatusUnsupportedMediaType, invalid("send %s in UTF-8", typeJSON)
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, http.StatusUnsupportedMediaType, invalid("send the body uncompressed")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, t.limits.BodyBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, http.StatusRequestEntityTooLarge, registry.LimitExceeded("a body has at most %d bytes", t.limits.BodyBytes)
	}
	if err != nil {
		return nil, http.StatusBadRequest, invalid("the body ended early")
	}
	decoded, problem := decodeParams(body)
	return decoded, http.StatusBadRequest, problem
}

// get reads the parameters from the URL, with the status to refuse it with.
func (t httpTransport) get(_ http.ResponseWriter, r *http.Request) (*graphql.RawParams, int, *registry.Error) {
	if len(r.URL.RawQuery) > t.limits.URLBytes {
		return nil, http.StatusRequestURITooLong, registry.LimitExceeded("a query string has at most %d bytes, use POST", t.limits.URLBytes)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, http.StatusBadRequest, invalid("the query string is not URL-encoded")
	}
	// the same object as a POST has, so that one decoder judges both
	object := map[string]any{"query": values.Get("query"), "operationName": values.Get("operationName")}
	for _, name := range []string{"variables", "extensions"} {
		if text := values.Get(name); json.Valid([]byte(text)) {
			object[name] = json.RawMessage(text)
		} else if text != "" {
			return nil, http.StatusBadRequest, invalid("%s must be a JSON object", name)
		}
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, http.StatusBadRequest, invalid("the query string holds no GraphQL request")
	}
	decoded, problem := decodeParams(raw)
	return decoded, http.StatusBadRequest, problem
}

// refuse answers a request that never reached the executor.
func refuse(w http.ResponseWriter, status int, err *registry.Error) {
	writeErrors(w, status, coded(new(gqlerror.Error), err))
}

func writeErrors(w http.ResponseWriter, status int, errs ...*gqlerror.Error) {
	write(w, status, &graphql.Response{Errors: errs})
}

// write sends a response. An error of the connection is nobody's concern: the
// client has gone.
func write(w http.ResponseWriter, status int, response *graphql.Response) {
	w.WriteHeader(status)
	_, _ = w.Write(encode(response))
}

// encode writes a response as JSON. Data is JSON already and is copied, not
// checked again; where nothing was executed it is left out, not null.
func encode(response *graphql.Response) []byte {
	out := make([]byte, 0, len(response.Data)+256)
	out = append(out, '{')
	member := func(name string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), name...), '"', ':'), value...)
	}
	if len(response.Errors) > 0 {
		member("errors", marshal(response.Errors))
	}
	if response.Data != nil {
		member("data", response.Data)
	}
	if len(response.Extensions) > 0 {
		member("extensions", marshal(response.Extensions))
	}
	return append(out, '}')
}

// marshal writes what is known to be JSON: presented errors and our extensions.
func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // the transport's recovery makes it INTERNAL
	}
	return raw
}

// orCause stands in for the response that the executor leaves out when the
// context ended before it began.
func (p presenter) orCause(ctx context.Context, response *graphql.Response) *graphql.Response {
	if response != nil {
		return response
	}
	return &graphql.Response{Errors: gqlerror.List{p.present(ctx, context.Cause(ctx))}}
}
