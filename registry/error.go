package registry

import (
	"errors"
	"fmt"
)

// Code classifies an error for a caller. It is stable and part of the API.
type Code string

// The codes, with what a caller can do about each.
const (
	CodeUnauthenticated    Code = "UNAUTHENTICATED"     // no valid key was sent
	CodeForbidden          Code = "FORBIDDEN"           // the key may not do this
	CodeNotFound           Code = "NOT_FOUND"           // absent, or invisible to the caller: the same answer
	CodeInvalid            Code = "INVALID"             // the input is wrong; Violations say where
	CodeConflict           Code = "CONFLICT"            // the name is taken, or the version is stale
	CodeFailedPrecondition Code = "FAILED_PRECONDITION" // in use, has children, would make a cycle
	CodeLimitExceeded      Code = "LIMIT_EXCEEDED"      // too deep, too large, too many, too fast
	CodeUnavailable        Code = "UNAVAILABLE"         // a store is down: safe to try again
	CodeCursorExpired      Code = "CURSOR_EXPIRED"      // the feed no longer reaches back to the cursor
	CodeInternal           Code = "INTERNAL"            // a defect
)

// Error is the one error type whose text is safe to show to a caller. What
// caused it goes to the log only.
type Error struct {
	Code    Code
	Message string
	// Field names the input that is at fault, if one is.
	Field string
	// Violations lists everything that is wrong with the input, so that it can
	// be mended in one go.
	Violations []Violation
	// Cause is never shown.
	Cause error
}

// Violation is one thing that is wrong with an input.
type Violation struct {
	// Path leads to the value: "attributes.address.city", "values.temperature".
	Path string `json:"path"`
	// Rule is the rule that was broken: "required", "type", "undeclared".
	Rule string `json:"rule"`
	// Message says in a sentence what is expected.
	Message string `json:"message"`
}

// Error implements error. It holds no part of the cause.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// CodeName is the code as text.
func (e *Error) CodeName() string { return string(e.Code) }

// CodeOf returns the code of the first Error in the chain, or CodeInternal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// NotFound is the answer for what is absent or belongs to somebody else.
func NotFound(kind, key string) *Error {
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf("%s %q does not exist", kind, key)}
}

// Invalid reports violations of an input; the message names the first.
func Invalid(violations ...Violation) *Error {
	e := &Error{Code: CodeInvalid, Message: "the input is invalid", Violations: violations}
	if len(violations) > 0 {
		e.Field = violations[0].Path
		e.Message = violations[0].Path + ": " + violations[0].Message
		if more := len(violations) - 1; more > 0 {
			e.Message += fmt.Sprintf(" (and %d more)", more)
		}
	}
	return e
}

// InvalidField reports one wrong input.
func InvalidField(path, rule, format string, args ...any) *Error {
	return Invalid(Violation{Path: path, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// Conflict reports a name that is taken or a version that is stale.
func Conflict(field, format string, args ...any) *Error {
	return &Error{Code: CodeConflict, Field: field, Message: fmt.Sprintf(format, args...)}
}

// FailedPrecondition reports something that must be done first.
func FailedPrecondition(format string, args ...any) *Error {
	return &Error{Code: CodeFailedPrecondition, Message: fmt.Sprintf(format, args...)}
}

// LimitExceeded reports a bound that was met.
func LimitExceeded(format string, args ...any) *Error {
	return &Error{Code: CodeLimitExceeded, Message: fmt.Sprintf(format, args...)}
}

// Unavailable reports a store that does not answer; the same call may succeed
// later.
func Unavailable(store string, cause error) *Error {
	return &Error{Code: CodeUnavailable, Message: "the " + store + " is unavailable, try again", Cause: cause}
}

// Forbidden reports an action that the caller's key does not allow.
func Forbidden(format string, args ...any) *Error {
	return &Error{Code: CodeForbidden, Message: fmt.Sprintf(format, args...)}
}

// Unauthenticated reports a missing or unknown key. It never says which.
func Unauthenticated() *Error {
	return &Error{Code: CodeUnauthenticated, Message: "an API key is needed: send Authorization: Bearer hk_…"}
}
