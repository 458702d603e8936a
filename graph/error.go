package graph

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/registry"
)

// errConstraint says that a constraint of the database refused a change: a key
// is taken, or a node that was to be deleted still has relationships. The
// method that made the change knows which and says so.
var errConstraint = errors.New("graph: a constraint refused the change")

// errAgain is returned by the work of a write transaction that found out that
// something changed under it: it is run again from its start.
var errAgain = errors.New("graph: the ground moved, again")

// The codes of Neo4j that mean something to a caller.
const (
	codeConstraint = "Neo.ClientError.Schema.ConstraintValidationFailed"
	codeVanished   = "Neo.ClientError.Statement.EntityNotFound"
	codeTimedOut   = "Neo.ClientError.Transaction.TransactionTimedOut"
	// A lock was waited for until the time was up.
	codeLockStopped = "Neo.ClientError.Transaction.LockClientStopped"
	codeTimedOutToo = "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration"
	codeTokenLimit  = "Neo.DatabaseError.Schema.TokenLimitReached"
	codeNoDatabase  = "Neo.ClientError.Database.DatabaseNotFound"
	// The message tells what it was that failed.
	codeExecution = "Neo.DatabaseError.Statement.ExecutionFailed"
)

// tooLarge is what the database says of a value that does not fit into the index
// of an attribute; it names the index by what it is on.
var tooLarge = regexp.MustCompile(`^Property value is too large to index.* schema=\(:\w+ \{account, (.+)\}\), indexProvider`)

// MaxSearchedValue is how many bytes a value may have of an attribute that a
// template declares searched: what fits into an index of the database.
const MaxSearchedValue = 8_000

// failure turns an error of the driver into one of the registry. No text of
// the database gets into a message: it stays in the cause.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*registry.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return registry.Unavailable("graph database", err)
	}
	if refusal, ok := refusalIn(err); ok {
		return refused(refusal, err)
	}
	if neo4j.IsConnectivityError(err) || neo4j.IsTransactionExecutionLimit(err) {
		return registry.Unavailable("graph database", err)
	}
	if _, ok := errors.AsType[*neo4j.UsageError](err); ok {
		return fmt.Errorf("graph: %w", err)
	}
	// What is left are the ways in which a connection fails to be made.
	return registry.Unavailable("graph database", err)
}

func refused(refusal *neo4j.Neo4jError, err error) error {
	switch refusal.Code {
	case codeConstraint:
		return fmt.Errorf("%w: %w", errConstraint, err)
	case codeTokenLimit:
		return &registry.Error{Code: registry.CodeLimitExceeded, Message: "the graph database takes no new names of relations or attributes", Cause: err}
	case codeTimedOut, codeTimedOutToo, codeLockStopped, codeNoDatabase:
		return registry.Unavailable("graph database", err)
	}
	if match := tooLarge.FindStringSubmatch(refusal.Msg); match != nil && refusal.Code == codeExecution {
		invalid := registry.InvalidField("attributes."+match[1], "length", "the value is too long: at most %d bytes where templates declare an attribute searched, in whatever account", MaxSearchedValue)
		invalid.Cause = err
		return invalid
	}
	if refusal.Classification() == "TransientError" || refusal.Category() == "Security" || refusal.Category() == "Cluster" || neo4j.IsRetryable(refusal) {
		return registry.Unavailable("graph database", err)
	}
	return fmt.Errorf("graph: %w", err)
}

// refusalIn finds what the database itself said, also last in a list of
// attempts.
func refusalIn(err error) (*neo4j.Neo4jError, bool) {
	if refusal, ok := errors.AsType[*neo4j.Neo4jError](err); ok {
		return refusal, true
	}
	if limit, ok := errors.AsType[*neo4j.TransactionExecutionLimit](err); ok && len(limit.Errors) > 0 {
		return refusalIn(limit.Errors[len(limit.Errors)-1])
	}
	return nil, false
}

// isVanished says that something was deleted between being found and being
// changed.
func isVanished(err error) bool {
	if errors.Is(err, errAgain) {
		return true
	}
	refusal, ok := refusalIn(err)
	return ok && refusal.Code == codeVanished
}

// movingGround is the error of a write that others kept getting in the way of.
func movingGround(err error) error {
	return &registry.Error{Code: registry.CodeUnavailable, Message: "others keep changing the same objects, try again", Cause: err}
}
