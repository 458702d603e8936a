package checks

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	codeBlock  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
	inlineLink = regexp.MustCompile(`\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)`)
	namedLink  = regexp.MustCompile(`(?m)^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*(?:"[^"]*")?$`)
	heading    = regexp.MustCompile(`(?m)^ {0,3}#{1,6} +(.+?) *#*$`)
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// prose is a document without its code, where brackets are no links and a `#`
// begins a comment.
func prose(text string) string {
	return codeSpan.ReplaceAllString(codeBlock.ReplaceAllString(text, ""), "")
}

func links(text string) []string {
	var targets []string
	for _, pattern := range []*regexp.Regexp{inlineLink, namedLink} {
		for _, found := range pattern.FindAllStringSubmatch(prose(text), -1) {
			targets = append(targets, found[1])
		}
	}
	return targets
}

// anchors are the places in a document that a link can name, as code hosts
// make them from headings.
func anchors(text string) []string {
	var names []string
	for _, found := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		title := linkText.ReplaceAllString(found[1], "$1")
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title)
		names = append(names, name)
	}
	return names
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := files(t)
	exists := func(name string) bool {
		folder := strings.TrimSuffix(name, "/") + "/"
		return name == "." || slices.Contains(all, name) ||
			slices.ContainsFunc(all, func(f string) bool { return strings.HasPrefix(f, folder) })
	}
	checked := 0
	for _, document := range filesWith(t, ".md") {
		for _, link := range links(content(t, document)) {
			target, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: %q is no link: %v", document, link, err)
				continue
			}
			if target.IsAbs() || target.Host != "" {
				continue
			}
			checked++
			file := document
			if target.Path != "" {
				file = path.Join(path.Dir(document), target.Path)
			}
			switch {
			case !exists(file):
				t.Errorf("%s: %q leads to %s, which is not there", document, link, file)
			case target.Fragment != "" && strings.HasSuffix(file, ".md") && !slices.Contains(anchors(content(t, file)), target.Fragment):
				t.Errorf("%s: %q: %s has no such heading", document, link, file)
			}
		}
	}
	if checked == 0 {
		t.Error("no document links to any other")
	}
}

func TestLinksAndAnchorsAreFound(t *testing.T) {
	text := "# The [`holon`](a.md) tool, v2\nsee [b](b.md#x) and ![c](<c.png> \"title\")\n```sh\n# no heading\n[no](link)\n```\n`[no](code)`\n[d]: d.md\n"
	if got, want := links(text), []string{"b.md#x", "c.png", "d.md"}; !slices.Equal(got[1:], want) {
		t.Errorf("links %q, want %q", got[1:], want)
	}
	if got, want := anchors(text), []string{"the-holon-tool-v2"}; !slices.Equal(got, want) {
		t.Errorf("anchors %q, want %q", got, want)
	}
}

func TestDocumentsThatEveryProjectHas(t *testing.T) {
	all := files(t)
	for _, name := range []string{"README.md", "CHANGELOG.md", "LICENSE", "docs/architecture.md", "docs/adr/README.md"} {
		if !slices.Contains(all, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

var decision = regexp.MustCompile(`^docs/adr/\d{4}-[a-z0-9-]+\.md$`)

// A decision that the list does not name is one that nobody finds.
func TestEveryDecisionIsListed(t *testing.T) {
	const list = "docs/adr/README.md"
	if !slices.Contains(files(t), list) {
		t.Fatalf("%s is missing", list)
	}
	listed := links(content(t, list))
	count := 0
	for _, name := range files(t) {
		if !strings.HasPrefix(name, "docs/adr/") || name == list {
			continue
		}
		count++
		if !decision.MatchString(name) {
			t.Errorf("%s is not named like a decision: docs/adr/0001-what-was-decided.md", name)
		}
		if !slices.Contains(listed, path.Base(name)) && !slices.Contains(listed, "./"+path.Base(name)) {
			t.Errorf("%s is not linked from %s", name, list)
		}
	}
	if count == 0 {
		t.Error("there is no decision in docs/adr")
	}
}
