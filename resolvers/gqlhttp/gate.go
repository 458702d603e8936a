package gqlhttp

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// ServeHTTP settles what needs no GraphQL: origins, methods, media types and
// the key. A socket brings its key later, in its first message.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isUpgrade(r) {
		s.handler.ServeHTTP(w, r)
		return
	}
	header := w.Header()
	ctx, request := withRequestID(r.Context(), r.Header.Get(requestHeader))
	r = r.WithContext(ctx)
	header.Set(requestHeader, request)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept")
	s.shareWithOrigin(header, r)

	header.Set("Content-Type", typeJSON) // of refusals, until the client's choice is known
	switch r.Method {
	case http.MethodGet, http.MethodPost:
	case http.MethodOptions:
		header.Set("Allow", allowedMethods)
		header.Del("Content-Type")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		header.Set("Allow", allowedMethods)
		refuse(w, http.StatusMethodNotAllowed, invalid("GraphQL takes GET and POST, not %s", r.Method))
		return
	}
	mediaType := negotiate(r.Header.Values("Accept"))
	if mediaType == "" {
		refuse(w, http.StatusNotAcceptable, invalid("answers are %s or %s", typeResponse, typeJSON))
		return
	}
	header.Set("Content-Type", mediaType)

	// the round trips of checking the key are part of the request's cost
	ctx, _ = registry.WithCost(ctx)
	ctx, err := s.config.Authenticate(ctx, bearer(r.Header.Get("Authorization")))
	if err != nil {
		s.refuseCaller(w, r, err)
		return
	}
	s.handler.ServeHTTP(w, r.WithContext(ctx))
}

const allowedMethods = "GET, POST, OPTIONS"

// refuseCaller answers a request whose key was not accepted.
func (s *Server) refuseCaller(w http.ResponseWriter, r *http.Request, err error) {
	shown := s.sockets.presenter.present(r.Context(), err)
	status := http.StatusInternalServerError
	switch shown.Extensions["code"] {
	case string(registry.CodeUnauthenticated):
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	case string(registry.CodeForbidden):
		status = http.StatusForbidden
	case string(registry.CodeLimitExceeded):
		status = http.StatusTooManyRequests
	case string(registry.CodeUnavailable):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	writeErrors(w, status, shown)
}

// shareWithOrigin lets pages of the allowed origins read the answers and send
// the headers that GraphQL needs. Pages of the server's own host need no leave.
func (s *Server) shareWithOrigin(header http.Header, r *http.Request) {
	if len(s.config.AllowedOrigins) == 0 {
		return
	}
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !originMatches(s.config.AllowedOrigins, origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", requestHeader)
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, "+requestHeader)
		header.Set("Access-Control-Max-Age", "600")
	}
}

// originMatches reads patterns as the WebSocket library does, so that both
// transports are open to the same pages.
func originMatches(patterns []string, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	for _, pattern := range patterns {
		target := u.Host
		if strings.Contains(pattern, "://") {
			target = u.Scheme + "://" + u.Host
		}
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(target)); err == nil && ok {
			return true
		}
	}
	return false
}

// bearer returns the key of an Authorization value, "" if it holds none.
func bearer(authorization string) string {
	scheme, key, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}
