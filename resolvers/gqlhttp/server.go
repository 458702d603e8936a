package gqlhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/rs/zerolog"
	"github.com/vektah/gqlparser/v2/ast"
)

// What the two caches hold. A parsed document takes some twenty times the bytes
// of its text, so both are bounded by bytes as well as by entries, and long
// documents are parsed anew each time.
const (
	cachedDocuments     = 1_000
	cachedDocumentBytes = 2 << 20
	longestCached       = 16 << 10
)

// Config says what is served, to whom and within which bounds.
type Config struct {
	// Schema is the executable schema. Its ComplexityRoot says what each
	// connection costs, see PageCost.
	Schema graphql.ExecutableSchema
	// Authenticate checks a key, "" if none was sent, and returns the context
	// that carries its principal. Its error is a *registry.Error: UNAUTHENTICATED,
	// FORBIDDEN, or UNAVAILABLE when the keys cannot be read now. It is called
	// for each HTTP request and once for each socket.
	Authenticate func(ctx context.Context, bearer string) (context.Context, error)
	// Authorize may refuse a field of the root, by name, to the principal in the
	// context: the whole operation is then refused. It may be nil.
	Authorize func(ctx context.Context, rootField string) error
	// BeforeOperation adds what belongs to one response, such as loaders. It is
	// called once for each query and mutation; for a subscription once before its
	// resolver starts and again for each event, so that no event is answered with
	// what was loaded for an earlier one. It may be nil.
	BeforeOperation func(context.Context) context.Context
	// BeforeField may change the context of a field that has arguments, for its
	// resolver and for everything below it; with an error it is not resolved. It
	// may be nil.
	BeforeField func(ctx context.Context, arguments map[string]any) (context.Context, error)
	// Limits are the bounds; those left at zero are the defaults.
	Limits Limits
	// AllowedOrigins are the origins besides the server's own host whose pages may
	// use it: "https://app.example.org", or a pattern, "https://*.example.org".
	AllowedOrigins []string
	// Logger gets the causes of errors that callers do not see.
	Logger zerolog.Logger
	// Observe is told of each operation that ended: the name that the client gave
	// it (never a good metric label), its kind ("query", "mutation",
	// "subscription", or "" if it was refused before that was known), the time it
	// took and the code of its first error or "OK". It may be nil.
	Observe func(operationName, kind string, took time.Duration, code string)
	// Introspection opens the schema to whoever holds a key, and with it the
	// suggestions in error messages.
	Introspection bool
}

// Server serves GraphQL at whatever path it is mounted. It is an http.Handler.
type Server struct {
	config  Config
	handler http.Handler
	sockets *sockets
}

// New makes a server.
func New(config Config) *Server {
	config.Limits = config.Limits.orDefault()
	limits := config.Limits
	presenter := presenter{log: config.Logger, timeout: limits.Timeout, suggest: config.Introspection, schema: config.Schema.Schema()}
	documents := newCache(cachedDocuments, cachedDocumentBytes, longestCached,
		func(query string, _ *ast.QueryDocument) int { return len(query) })
	persisted := newCache(cachedDocuments, cachedDocumentBytes, longestCached,
		func(hash, query string) int { return len(hash) + len(query) })

	s := &Server{config: config, sockets: newSockets(config, presenter)}
	h := handler.New(config.Schema)
	h.AddTransport(s.sockets)
	h.AddTransport(httpTransport{limits: limits, presenter: presenter})
	h.SetQueryCache(documents)
	h.SetParserTokenLimit(limits.Tokens)
	h.SetDisableSuggestion(!config.Introspection)
	h.SetErrorPresenter(presenter.present)
	h.SetRecoverFunc(func(_ context.Context, v any) error { return recovered(v) })
	h.Use(extension.AutomaticPersistedQuery{Cache: persisted})
	h.Use(documentLimits{limits: limits, measured: documents, introspection: config.Introspection})
	if config.Introspection {
		h.Use(extension.Introspection{})
	}
	h.Use(extension.FixedComplexityLimit(limits.Complexity))
	h.Use(accounting{limits: limits, presenter: presenter, authorize: config.Authorize, before: config.BeforeOperation, observe: config.Observe})
	if config.BeforeField != nil {
		h.AroundFields(func(ctx context.Context, next graphql.Resolver) (any, error) {
			if field := graphql.GetFieldContext(ctx); len(field.Args) > 0 {
				var err error
				if ctx, err = config.BeforeField(ctx, field.Args); err != nil {
					return nil, err
				}
			}
			return next(ctx)
		})
	}
	s.handler = h
	return s
}

// Shutdown closes every socket with 1001 "going away", which tells clients to
// connect again, takes no new ones, and returns when all have ended or ctx has.
// http.Server.Shutdown does not know sockets, so both must be called.
func (s *Server) Shutdown(ctx context.Context) error { return s.sockets.shutdown(ctx) }
