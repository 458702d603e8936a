package gqlhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/resolvers/gqlhttp/internal/testschema"
)

const goodKey = "hk_good"

// server is a running server under test.
type server struct {
	*gqlhttp.Server
	url      string
	resolver *testschema.Resolver
	log      *lockedBuffer
}

// lockedBuffer is a log that a test may read while the server writes it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// authenticate knows one key and one for each way of being refused.
func authenticate(ctx context.Context, bearer string) (context.Context, error) {
	registry.CountCache(ctx)
	switch bearer {
	case goodKey:
		return ctx, nil
	case "hk_forbidden":
		return nil, registry.Forbidden("this key may not")
	case "hk_down":
		return nil, registry.Unavailable("graph", errors.New(testschema.Secret))
	case "hk_broken":
		return nil, errors.New(testschema.Secret)
	}
	return nil, registry.Unauthenticated()
}

// start runs a server; change may be nil.
func start(t *testing.T, change func(*gqlhttp.Config)) server {
	t.Helper()
	resolver, schema := testschema.New()
	log := new(lockedBuffer)
	config := gqlhttp.Config{
		Schema:          testschema.NewExecutableSchema(schema),
		Authenticate:    authenticate,
		BeforeOperation: testschema.WithLoader,
		Logger:          zerolog.New(log),
		Introspection:   true,
	}
	if change != nil {
		change(&config)
	}
	s := gqlhttp.New(config)
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
		h.Close()
	})
	return server{Server: s, url: h.URL, resolver: resolver, log: log}
}

// answer is what came back, as far as the tests look at it.
type answer struct {
	status int
	header http.Header
	raw    string
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
	Extensions map[string]any
}

// codes are the codes of all errors.
func (a answer) codes() (codes []string) {
	for _, e := range a.Errors {
		code, _ := e.Extensions["code"].(string)
		codes = append(codes, code)
	}
	return codes
}

// do sends a request with a good key, unless the header has another one.
func (s server) do(t *testing.T, method, query string, header http.Header, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+goodKey)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatalf("%d %q is no JSON: %v", resp.StatusCode, raw, err)
		}
	}
	return a
}

// ask posts a query.
func (s server) ask(t *testing.T, query string) answer {
	t.Helper()
	return s.do(t, http.MethodPost, "", nil, body(query))
}

func body(query string) string {
	raw, _ := json.Marshal(map[string]string{"query": query})
	return string(raw)
}

func get(query string) string { return "?query=" + url.QueryEscape(query) }

func TestRequests(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.Limits.BodyBytes, c.Limits.URLBytes = 1000, 500 })
	ok := body(`{echo(text: "hi")}`)
	tests := map[string]struct {
		method, query, body string
		header              http.Header
		status              int
		codes               []string
	}{
		"post":                         {method: "POST", body: ok, status: 200},
		"get":                          {method: "GET", query: get(`{echo(text: "hi")}`), status: 200},
		"get with variables":           {method: "GET", query: get(`query($t: String!) {echo(text: $t)}`) + "&variables=" + url.QueryEscape(`{"t":"x"}`), status: 200},
		"get with bad variables":       {method: "GET", query: get(`{__typename}`) + "&variables=x", status: 400, codes: []string{"INVALID"}},
		"get with variables a list":    {method: "GET", query: get(`{__typename}`) + "&variables=[]", status: 400, codes: []string{"INVALID"}},
		"get without query":            {method: "GET", status: 400, codes: []string{"INVALID"}},
		"get that is too long":         {method: "GET", query: get("{" + strings.Repeat(" ", 500) + "__typename}"), status: 414, codes: []string{"LIMIT_EXCEEDED"}},
		"mutation by get":              {method: "GET", query: get(`mutation {bump}`), status: 405, codes: []string{"INVALID"}},
		"mutation by post":             {method: "POST", body: body(`mutation {bump}`), status: 200},
		"subscription by post":         {method: "POST", body: body(`subscription {refused {number}}`), status: 400, codes: []string{"INVALID"}},
		"other method":                 {method: "PUT", body: ok, status: 405, codes: []string{"INVALID"}},
		"head":                         {method: "HEAD", status: 405},
		"options":                      {method: "OPTIONS", status: 204},
		"form":                         {method: "POST", body: "query={__typename}", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, status: 415, codes: []string{"INVALID"}},
		"multipart":                    {method: "POST", body: "--x--", header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, status: 415, codes: []string{"INVALID"}},
		"plain text":                   {method: "POST", body: ok, header: http.Header{"Content-Type": {"text/plain"}}, status: 415, codes: []string{"INVALID"}},
		"no content type":              {method: "POST", body: ok, header: http.Header{"Content-Type": nil}, status: 415, codes: []string{"INVALID"}},
		"other charset":                {method: "POST", body: ok, header: http.Header{"Content-Type": {"application/json; charset=latin1"}}, status: 415, codes: []string{"INVALID"}},
		"utf-8":                        {method: "POST", body: ok, header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, status: 200},
		"compressed":                   {method: "POST", body: ok, header: http.Header{"Content-Encoding": {"gzip"}}, status: 415, codes: []string{"INVALID"}},
		"too large":                    {method: "POST", body: ok + strings.Repeat(" ", 1000), status: 413, codes: []string{"LIMIT_EXCEEDED"}},
		"no JSON":                      {method: "POST", body: "{", status: 400, codes: []string{"INVALID"}},
		"batch":                        {method: "POST", body: "[" + ok + "]", status: 400, codes: []string{"INVALID"}},
		"two objects":                  {method: "POST", body: ok + ok, status: 400, codes: []string{"INVALID"}},
		"query a number":               {method: "POST", body: `{"query": 1}`, status: 400, codes: []string{"INVALID"}},
		"variables a string":           {method: "POST", body: `{"query": "{__typename}", "variables": "x"}`, status: 400, codes: []string{"INVALID"}},
		"syntax error as json":         {method: "POST", body: body("{"), status: 200, codes: []string{"GRAPHQL_PARSE_FAILED"}},
		"syntax error as response":     {method: "POST", body: body("{"), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 400, codes: []string{"GRAPHQL_PARSE_FAILED"}},
		"unknown field as response":    {method: "POST", body: body("{nope}"), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 400, codes: []string{"GRAPHQL_VALIDATION_FAILED"}},
		"limit as response":            {method: "POST", body: body("{things(first: 1000) {edges {node {things(first: 1000) {edges {node {name}}}}}}}"), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 400, codes: []string{"LIMIT_EXCEEDED"}},
		"error of a field as response": {method: "POST", body: body(`{fail(how: "notFound")}`), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 200, codes: []string{"NOT_FOUND"}},
		"nothing acceptable":           {method: "POST", body: ok, header: http.Header{"Accept": {"text/html"}}, status: 406, codes: []string{"INVALID"}},
		"no key":                       {method: "POST", body: ok, header: http.Header{"Authorization": nil}, status: 401, codes: []string{"UNAUTHENTICATED"}},
		"no key by get":                {method: "GET", query: get("{__typename}"), header: http.Header{"Authorization": nil}, status: 401, codes: []string{"UNAUTHENTICATED"}},
		"wrong key":                    {method: "POST", body: ok, header: http.Header{"Authorization": {"Bearer hk_wrong"}}, status: 401, codes: []string{"UNAUTHENTICATED"}},
		"other scheme":                 {method: "POST", body: ok, header: http.Header{"Authorization": {"Basic " + goodKey}}, status: 401, codes: []string{"UNAUTHENTICATED"}},
		"scheme in lower case":         {method: "POST", body: ok, header: http.Header{"Authorization": {"bearer  " + goodKey}}, status: 200},
		"key that is forbidden":        {method: "POST", body: ok, header: http.Header{"Authorization": {"Bearer hk_forbidden"}}, status: 403, codes: []string{"FORBIDDEN"}},
		"keys cannot be read":          {method: "POST", body: ok, header: http.Header{"Authorization": {"Bearer hk_down"}}, status: 503, codes: []string{"UNAVAILABLE"}},
		"keys fail":                    {method: "POST", body: ok, header: http.Header{"Authorization": {"Bearer hk_broken"}}, status: 500, codes: []string{"INTERNAL"}},
		"unauthenticated before read":  {method: "POST", body: strings.Repeat("x", 5000), header: http.Header{"Authorization": nil}, status: 401, codes: []string{"UNAUTHENTICATED"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.do(t, test.method, "/"+test.query, test.header, test.body)
			if a.status != test.status {
				t.Errorf("status %d, want %d: %s", a.status, test.status, a.raw)
			}
			if diff := cmp.Diff(test.codes, a.codes()); diff != "" {
				t.Errorf("codes: %s\n%s", diff, a.raw)
			}
			if strings.Contains(a.raw, testschema.Secret) {
				t.Errorf("the cause reached the caller: %s", a.raw)
			}
			if test.status == 200 && test.codes == nil && len(a.Data) == 0 {
				t.Errorf("no data: %s", a.raw)
			}
			if a.status == 400 && strings.Contains(a.raw, `"data"`) {
				t.Errorf("data although nothing ran: %s", a.raw)
			}
			if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", a.header)
			}
		})
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	if allow := s.do(t, "GET", get("mutation {bump}"), nil, "").header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow of a mutation by GET is %q", allow)
	}
	for _, method := range []string{"PUT", "OPTIONS"} {
		if allow := s.do(t, method, "", nil, "").header.Get("Allow"); allow != "GET, POST, OPTIONS" {
			t.Errorf("Allow of %s is %q", method, allow)
		}
	}
	if n := s.ask(t, "mutation {bump}").Data["bump"]; n != 1.0 {
		t.Errorf("bump = %v: the mutation by GET ran", n)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) {
		c.AllowedOrigins = []string{"https://app.example.org", "https://*.trusted.org"}
	})
	for origin, allowed := range map[string]bool{
		"https://app.example.org": true, "https://a.trusted.org": true, "https://APP.example.org": true,
		"http://app.example.org": false, "https://evil.org": false, "https://app.example.org.evil.org": false, "null": false,
	} {
		header := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}}
		for _, method := range []string{"OPTIONS", "POST"} {
			a := s.do(t, method, "", header, body("{__typename}"))
			want := ""
			if allowed {
				want = origin
			}
			if got := a.header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %s: allowed origin %q, want %q", method, origin, got, want)
			}
			if got := a.header.Get("Access-Control-Allow-Headers") != ""; got != (allowed && method == "OPTIONS") {
				t.Errorf("%s from %s: header %v", method, origin, a.header)
			}
		}
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) {
		c.Authorize = func(_ context.Context, rootField string) error {
			if rootField == "echo" || rootField == "bump" || rootField == "count" {
				return registry.Forbidden("not %s", rootField)
			}
			return nil
		}
	})
	for _, query := range []string{
		`{echo(text: "x")}`, `{__typename even(number: 2) e: echo(text: "x")}`,
		`{...F} fragment F on Query {... {echo(text: "x")}}`, `mutation {bump}`,
	} {
		for accept, status := range map[string]int{"application/json": 200, "application/graphql-response+json": 400} {
			a := s.do(t, "POST", "", http.Header{"Accept": {accept}}, body(query))
			if diff := cmp.Diff([]string{"FORBIDDEN"}, a.codes()); diff != "" || a.status != status || strings.Contains(a.raw, `"data"`) {
				t.Errorf("%s: %d %s", query, a.status, a.raw)
			}
		}
	}
	if a := s.ask(t, "{even(number: 2)}"); a.Data["even"] != 2.0 {
		t.Errorf("what is allowed: %s", a.raw)
	}
	c := s.connect(t)
	c.send(subscribe("1", `subscription {count(to: 1) {number}}`))
	c.expect(`{"id": "1", "type": "error", "payload": [{"message": "not count", "extensions": {"code": "FORBIDDEN"}}]}`)
	if s.resolver.Started.Load() != 0 {
		t.Error("the refused subscription began")
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	s := start(t, func(c *gqlhttp.Config) {
		c.Observe = func(name, kind string, took time.Duration, code string) {
			mu.Lock()
			defer mu.Unlock()
			if took <= 0 {
				t.Errorf("%s took %s", name, took)
			}
			seen = append(seen, name+" "+kind+" "+code)
		}
	})
	s.ask(t, `query A {echo(text: "x")}`)
	s.ask(t, `mutation B {bump}`)
	s.ask(t, `query C {fail(how: "notFound")}`)
	s.ask(t, `query D {nope}`)
	mu.Lock()
	defer mu.Unlock()
	want := []string{"A query OK", "B mutation OK", "C query NOT_FOUND", "  GRAPHQL_VALIDATION_FAILED"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkQuery is what the server adds to a query whose fields cost nothing.
func BenchmarkQuery(b *testing.B) {
	_, schema := testschema.New()
	s := gqlhttp.New(gqlhttp.Config{
		Schema: testschema.NewExecutableSchema(schema), Authenticate: authenticate, Logger: zerolog.Nop(),
	})
	text := body(`{echo(text: "hi")}`)
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+goodKey)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
