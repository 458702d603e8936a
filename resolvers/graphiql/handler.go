package graphiql

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assets embed.FS

// policy lets the page load and reach its own host only, and nothing frame it.
// Scripts are files, so that text which finds its way into the page never runs;
// CodeMirror, GraphiQL's editor, sets styles on its lines, hence the exception
// for those.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at /graphiql and what it needs below; mount it at both
// /graphiql and /graphiql/. The page sends its queries to graphqlPath of the
// same host. It panics if a file that is part of the program is broken, which
// the package's tests rule out.
func Handler(graphqlPath string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /graphiql", must(page(graphqlPath)))
	mux.Handle("GET /graphiql/{$}", http.RedirectHandler("/graphiql", http.StatusMovedPermanently))
	mux.Handle("GET /graphiql/examples.json", must(examplesFile()))
	err := fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "assets/index.html" {
			return err
		}
		content, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		mux.Handle("GET /graphiql/"+name, newFile(name, content))
		return nil
	})
	if err != nil {
		panic(err)
	}
	return guarded(mux)
}

func must(f *file, err error) *file {
	if err != nil {
		panic(err)
	}
	return f
}

// guarded sets the headers that every answer has.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// page fills in where the queries go.
func page(graphqlPath string) (*file, error) {
	text, err := template.ParseFS(assets, "assets/index.html")
	if err != nil {
		return nil, err
	}
	var filled bytes.Buffer
	if err := text.Execute(&filled, graphqlPath); err != nil {
		return nil, err
	}
	return newFile("index.html", filled.Bytes()), nil
}

func examplesFile() (*file, error) {
	examples, err := readExamples(exampleFiles)
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(examples)
	if err != nil {
		return nil, fmt.Errorf("examples: %w", err)
	}
	return newFile("examples.json", content), nil
}

// file is content that browsers keep and ask about: embedded files have no
// times, so a hash tells whether one has changed.
type file struct {
	name, mediaType, tag string
	content              []byte
}

func newFile(name string, content []byte) *file {
	sum := sha256.Sum256(content)
	mediaType := mime.TypeByExtension(path.Ext(name))
	if mediaType == "" {
		mediaType = "text/plain; charset=utf-8"
	}
	return &file{name: name, mediaType: mediaType, tag: `"` + hex.EncodeToString(sum[:8]) + `"`, content: content}
}

// ServeHTTP sends the content, or 304 to who has it.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.mediaType)
	w.Header().Set("Cache-Control", "no-cache") // keep it, and ask whether it is still so
	w.Header().Set("ETag", f.tag)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.content))
}
