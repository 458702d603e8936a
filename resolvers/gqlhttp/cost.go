package gqlhttp

import (
	"context"
	"math"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/holon-registry/holon/registry"
)

// PageCost is the complexity of a connection: one, and for each object that the
// page may hold what is asked of it. A page holds first or last objects, the
// larger if a caller gives both, and defaultSize if he gives neither. Set it in
// the schema's ComplexityRoot:
//
//	root.Query.Devices = func(child int, first, last *int) int {
//		return gqlhttp.PageCost(child, first, last, registry.DefaultPage)
//	}
func PageCost(child int, first, last *int, defaultSize int) int {
	size := defaultSize
	switch {
	case first != nil && last != nil:
		size = max(*first, *last)
	case first != nil:
		size = *first
	case last != nil:
		size = *last
	}
	// both bounds keep pages within pages from overflowing
	size = min(max(size, 0), math.MaxInt32)
	child = min(max(child, 1), math.MaxInt32)
	return min(1+size*child, math.MaxInt32)
}

// cost is extensions.cost of a response.
type cost struct {
	// Complexity is what the operation may return by the pages it asks for.
	Complexity int `json:"complexity"`
	// GraphRoundTrips and CacheRoundTrips are what this response took; over HTTP
	// checking the key is part of it.
	GraphRoundTrips int64 `json:"graphRoundTrips"`
	CacheRoundTrips int64 `json:"cacheRoundTrips"`
}

// accounting gives each operation its time, its loaders, its cost and its line
// in the metrics.
type accounting struct {
	limits    Limits
	presenter presenter
	authorize func(ctx context.Context, rootField string) error
	before    func(context.Context) context.Context
	observe   func(operationName, kind string, took time.Duration, code string)
}

var (
	_ graphql.OperationInterceptor = accounting{}
	_ graphql.ResponseInterceptor  = accounting{}
)

// ExtensionName names the extension in gqlgen's errors.
func (accounting) ExtensionName() string { return "Accounting" }

// Validate accepts every schema.
func (accounting) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation bounds the time of a query or mutation, and watches over
// the end of a subscription.
func (a accounting) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if err := a.refused(ctx); err != nil {
		refusal := &graphql.Response{Errors: gqlerror.List{a.presenter.present(ctx, err)}}
		a.report(ctx, codeOf(refusal))
		return graphql.OneShot(refusal)
	}
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		ctx, cancel := context.WithTimeoutCause(ctx, a.limits.Timeout, errTooSlow)
		responses := next(ctx)
		return func(ctx context.Context) *graphql.Response {
			defer cancel()
			return responses(ctx)
		}
	}
	stream := new(stream)
	ctx = context.WithValue(ctx, streamKey{}, stream)
	ctx, _ = registry.WithCost(ctx)
	if a.before != nil {
		ctx = a.before(ctx)
	}
	responses := next(ctx)
	return func(ctx context.Context) *graphql.Response {
		response := responses(ctx)
		switch {
		case response == nil:
			a.report(ctx, codeOfStream(stream.failure()))
		case response.Data == nil: // it never started
			a.report(ctx, codeOf(response))
		}
		return response
	}
}

// refused asks for each field of the root whether the caller may have it.
func (a accounting) refused(ctx context.Context) error {
	if a.authorize == nil {
		return nil
	}
	operation := graphql.GetOperationContext(ctx)
	for _, field := range graphql.CollectFields(operation, operation.Operation.SelectionSet, rootTypes) {
		if err := a.authorize(ctx, field.Name); err != nil {
			return err
		}
	}
	return nil
}

// rootTypes are the types whose fields are the root of an operation.
var rootTypes = []string{"Query", "Mutation", "Subscription"}

// InterceptResponse is called for a query or mutation, for what is refused
// before it runs, and for each event of a subscription.
func (a accounting) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	event := streamOf(ctx) != nil
	counted := registry.CostFrom(ctx)
	if counted == nil || event {
		ctx, counted = registry.WithCost(ctx)
	}
	if a.before != nil && graphql.GetOperationContext(ctx).Operation != nil {
		ctx = a.before(ctx)
	}
	response := next(ctx)
	if response == nil {
		return nil
	}
	if !event {
		a.report(ctx, codeOf(response))
	}
	c := cost{GraphRoundTrips: counted.Graph(), CacheRoundTrips: counted.Cache()}
	if stats := extension.GetComplexityStats(ctx); stats != nil {
		c.Complexity = stats.Complexity
	}
	if response.Extensions == nil {
		response.Extensions = map[string]any{}
	}
	response.Extensions["cost"] = c
	if more := len(response.Errors) - a.limits.Errors; more > 0 {
		response.Errors = response.Errors[:a.limits.Errors]
		response.Extensions["moreErrors"] = more
	}
	return response
}

func (a accounting) report(ctx context.Context, code string) {
	if a.observe == nil {
		return
	}
	operation := graphql.GetOperationContext(ctx)
	kind := ""
	if operation.Operation != nil {
		kind = string(operation.Operation.Operation)
	}
	a.observe(operationName(ctx), kind, time.Since(operation.Stats.OperationStart), code)
}

// codeOf is the code of a response's first error.
func codeOf(response *graphql.Response) string {
	if len(response.Errors) == 0 {
		return "OK"
	}
	code, _ := response.Errors[0].Extensions["code"].(string)
	return code
}

func codeOfStream(err error) string {
	if err == nil {
		return "OK"
	}
	return string(registry.CodeOf(err))
}
