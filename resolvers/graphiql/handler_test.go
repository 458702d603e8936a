package graphiql_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/holon-registry/holon/resolvers/graphiql"
)

// fetch asks the handler for a path.
func fetch(t *testing.T, method, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.Header = header
	w := httptest.NewRecorder()
	graphiql.Handler(`/api/graphql"><script>`).ServeHTTP(w, r)
	resp := w.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

var address = regexp.MustCompile(`(?:src|href)="([^"]*)"`)

func TestPage(t *testing.T) {
	t.Parallel()
	resp, page := fetch(t, "GET", "/graphiql", nil)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	if !strings.Contains(page, `content="/api/graphql&#34;&gt;&lt;script&gt;"`) {
		t.Errorf("the path of GraphQL is missing or not escaped: %s", page)
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "style=") {
		t.Errorf("the page has code of its own, which its policy forbids: %s", page)
	}
	// all that the page names is here, and of a type that browsers take with nosniff
	types := map[string]string{".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	names := address.FindAllStringSubmatch(page, -1)
	if len(names) < 8 {
		t.Fatalf("the page names only %v", names)
	}
	for _, name := range names {
		resp, content := fetch(t, "GET", name[1], nil)
		want := types[name[1][strings.LastIndex(name[1], "."):]]
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || content == "" || !strings.HasPrefix(got, want) || want == "" {
			t.Errorf("%s: %d, %q", name[1], resp.StatusCode, got)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/graphiql", "/graphiql/examples.json", "/graphiql/assets/app.js", "/graphiql/nothing"} {
		resp, _ := fetch(t, "GET", path, nil)
		policy := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "connect-src 'self';", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "http:") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy admits other hosts: %q", path, policy)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

func TestCaching(t *testing.T) {
	t.Parallel()
	resp, _ := fetch(t, "GET", "/graphiql/assets/vendor/graphiql.min.js", nil)
	tag := resp.Header.Get("ETag")
	again, body := fetch(t, "GET", "/graphiql/assets/vendor/graphiql.min.js", http.Header{"If-None-Match": {tag}})
	if tag == "" || again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("tag %q, then %d with %d bytes", tag, again.StatusCode, len(body))
	}
	if resp, _ := fetch(t, "GET", "/graphiql/assets/app.js", http.Header{"If-None-Match": {tag}}); resp.StatusCode != http.StatusOK {
		t.Errorf("the tag of another file: %d", resp.StatusCode)
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/graphiql/", 301},
		{"HEAD", "/graphiql", 200},
		{"POST", "/graphiql", 405},
		{"GET", "/graphiql/assets/", 404},
		{"GET", "/graphiql/assets/index.html", 404},
		{"GET", "/graphiql/assets/../handler.go", 307}, // to /graphiql/handler.go, which is not there
		{"GET", "/graphiql/handler.go", 404},
	} {
		if resp, _ := fetch(t, test.method, test.path, nil); resp.StatusCode != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, resp.StatusCode, test.status)
		}
	}
}
