package gqlhttp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/holon-registry/holon/registry"
)

// errTooSlow is the cause of a context whose operation ran out of time. It tells
// that apart from the time that a store allows one of its own calls.
var errTooSlow = errors.New("operation timed out")

// didYouMean are the suggestions that tell a schema piece by piece.
var didYouMean = regexp.MustCompile(`\s*Did you mean [^?]*\?`)

// presenter makes of an error what a caller may see; the rest goes to the log.
type presenter struct {
	log     zerolog.Logger
	timeout time.Duration
	suggest bool
	schema  *ast.Schema
}

// present is gqlgen's error presenter. The text of a *registry.Error anywhere
// in the chain is shown; whatever else was not written for callers is INTERNAL
// with an id that the log line has too.
func (p presenter) present(ctx context.Context, err error) *gqlerror.Error {
	shown := &gqlerror.Error{Path: graphql.GetPath(ctx)}
	located, isGraphQL := errors.AsType[*gqlerror.Error](err)
	if isGraphQL {
		shown.Path, shown.Locations = located.Path, located.Locations
	}
	known, isKnown := errors.AsType[*registry.Error](err)
	_, isPanic := errors.AsType[*panicError](err)
	switch {
	case isPanic:
		return p.internal(ctx, shown, err)
	case p.ranOut(ctx, err):
		return coded(shown, registry.LimitExceeded("the operation took longer than %s", p.timeout))
	case isKnown && known.Code != registry.CodeInternal:
		if known.Cause != nil {
			p.log.Warn().Err(known.Cause).Str("code", string(known.Code)).Str("operation", operationName(ctx)).Str("request", RequestID(ctx)).Msg(known.Message)
		}
		return coded(shown, known)
	case errors.Is(err, context.DeadlineExceeded):
		return coded(shown, registry.LimitExceeded("the operation took longer than it may"))
	case errors.Is(err, context.Canceled):
		return coded(shown, &registry.Error{Code: registry.CodeUnavailable, Message: "the operation was cancelled"})
	case isGraphQL && located.Err == nil:
		return p.ofDocument(ctx, shown, located)
	case argumentsMissing(ctx):
		shown.Path = graphql.GetFieldContext(ctx).Path() // not that of the argument, which is in violations
		return coded(shown, argumentError(err))
	}
	return p.internal(ctx, shown, err)
}

// ranOut tells whether an error is what a store makes of an operation's timeout.
func (p presenter) ranOut(ctx context.Context, err error) bool {
	if !errors.Is(context.Cause(ctx), errTooSlow) {
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTooSlow) ||
		registry.CodeOf(err) == registry.CodeUnavailable
}

// ofDocument presents what gqlgen says about a document or its variables.
func (p presenter) ofDocument(ctx context.Context, shown, said *gqlerror.Error) *gqlerror.Error {
	shown.Message = p.explained(ctx, said)
	if !p.suggest {
		shown.Message = didYouMean.ReplaceAllString(shown.Message, "")
	}
	code, _ := said.Extensions["code"].(string)
	switch code {
	case "":
		code = string(registry.CodeInvalid)
	case "COMPLEXITY_LIMIT_EXCEEDED":
		code = string(registry.CodeLimitExceeded)
	}
	shown.Extensions = map[string]any{"code": code}
	return shown
}

func (p presenter) internal(ctx context.Context, shown *gqlerror.Error, err error) *gqlerror.Error {
	id := uuid.NewString()
	line := p.log.Error().Err(err).Str("id", id).Str("operation", operationName(ctx)).Str("request", RequestID(ctx)).Stringer("path", shown.Path)
	if caught, ok := errors.AsType[*panicError](err); ok {
		line = line.Bytes("stack", caught.stack)
	}
	line.Msg("internal error")
	shown.Message = "something went wrong in the server; the log knows more under the id"
	shown.Extensions = map[string]any{"code": string(registry.CodeInternal), "id": id}
	return shown
}

// coded gives an error the text, the code and the violations of a known one.
func coded(shown *gqlerror.Error, known *registry.Error) *gqlerror.Error {
	shown.Message = known.Message
	shown.Extensions = map[string]any{"code": string(known.Code)}
	if known.Field != "" {
		shown.Extensions["field"] = known.Field
	}
	if len(known.Violations) > 0 {
		shown.Extensions["violations"] = known.Violations
	}
	return shown
}

// argumentsMissing tells whether the field of a context never got its arguments:
// then the error is of a scalar that refused its input, which says why and knows
// no secrets.
func argumentsMissing(ctx context.Context) bool {
	field := graphql.GetFieldContext(ctx)
	return field != nil && field.Args == nil && field.Field.Field != nil &&
		field.Field.Definition != nil && len(field.Field.Definition.Arguments) > 0
}

// argumentError presents what a scalar's UnmarshalGQL says.
func argumentError(err error) *registry.Error {
	if located, ok := errors.AsType[*gqlerror.Error](err); ok {
		return registry.InvalidField(located.Path.String(), "type", "%s", located.Message)
	}
	return invalid("%s", err)
}

// operationName is the name that the client gave the operation that runs.
func operationName(ctx context.Context) string {
	if !graphql.HasOperationContext(ctx) {
		return ""
	}
	operation := graphql.GetOperationContext(ctx)
	if operation.OperationName == "" && operation.Operation != nil {
		return operation.Operation.Name
	}
	return operation.OperationName
}

// panicError is a panic on its way to the presenter.
type panicError struct {
	value any
	stack []byte
}

// Error gives the log the value; callers never see it.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recovered wraps what recover returned. Call it where the panic is recovered:
// it notes the stack.
func recovered(value any) error { return &panicError{value: value, stack: debug.Stack()} }
