package gqlhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/registry"
)

// invalid reports a request that is no GraphQL request.
func invalid(format string, args ...any) *registry.Error {
	return &registry.Error{Code: registry.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

// decodeParams reads the parameters of an operation, from the body of a POST or
// from the payload of a subscribe message, and reports in words what is wrong
// with them. Numbers of variables keep the text they have.
func decodeParams(raw []byte) (*graphql.RawParams, *registry.Error) {
	params := new(graphql.RawParams)
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(params); err != nil {
		wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
		switch {
		case !ok:
			return nil, invalid("the request is no JSON")
		case wrong.Field == "":
			return nil, invalid("the request must be one JSON object with a query; lists of requests are not taken")
		case wrong.Field == "query", wrong.Field == "operationName":
			return nil, invalid("%s must be a string", wrong.Field)
		default:
			return nil, invalid("%s must be a JSON object", wrong.Field)
		}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("the request must be one JSON object and nothing behind it")
	}
	if params.Query == "" && params.Extensions["persistedQuery"] == nil {
		return nil, invalid("query is missing")
	}
	return params, nil
}
