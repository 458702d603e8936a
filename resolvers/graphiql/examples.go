package graphiql

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed examples/*.graphql
var exampleFiles embed.FS

// example is one query of the menu.
type example struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Query     string `json:"query"`
	Variables string `json:"variables"` // JSON as it stands in the editor, or ""
}

// readExamples reads examples/*.graphql in the order of the names.
func readExamples(files fs.FS) ([]example, error) {
	names, err := fs.Glob(files, "examples/*.graphql")
	if err != nil {
		return nil, err
	}
	var examples []example
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		e, err := parseExample(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		e.Name = strings.TrimSuffix(path.Base(name), ".graphql")
		examples = append(examples, e)
	}
	return examples, nil
}

// parseExample takes the comments at the head apart from the query.
func parseExample(text string) (e example, err error) {
	for {
		line, rest, _ := strings.Cut(text, "\n")
		comment, isComment := strings.CutPrefix(line, "# ")
		name, value, isField := strings.Cut(comment, ":")
		if !isComment || !isField {
			break
		}
		value = strings.TrimSpace(value)
		switch name {
		case "title":
			e.Title = value
		case "variables":
			var indented bytes.Buffer
			if err := json.Indent(&indented, []byte(value), "", "  "); err != nil {
				return e, fmt.Errorf("variables: %w", err)
			}
			e.Variables = indented.String()
		default:
			return e, fmt.Errorf("a head has title and variables, not %q", name)
		}
		text = rest
	}
	e.Query = strings.TrimSpace(text) + "\n"
	if e.Title == "" || e.Query == "\n" {
		return e, fmt.Errorf("title or query is missing")
	}
	return e, nil
}
