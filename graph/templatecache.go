package graph

import (
	"sync"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

// maxTemplates bounds the templates kept in memory.
const maxTemplates = 10_000

// compiledTemplate is a published template with its compiled schemas.
type compiledTemplate struct {
	*registry.Template
	account registry.ID
	// schema is nil for an open template.
	schema *jsonschema.Schema
}

// templateCache keeps published templates, which never change, by id.
type templateCache struct {
	mu   sync.RWMutex
	byID map[registry.ID]*compiledTemplate
}

func newTemplateCache() *templateCache {
	return &templateCache{byID: map[registry.ID]*compiledTemplate{}}
}

// get returns a template of an account, nil if it is not kept.
func (c *templateCache) get(account, id registry.ID) *compiledTemplate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t := c.byID[id]
	if t == nil || t.account != account {
		return nil
	}
	return t
}

func (c *templateCache) put(t *compiledTemplate) {
	if t.Status != registry.TemplatePublished {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) >= maxTemplates {
		// Any entry will do: each can be read again.
		for id := range c.byID {
			delete(c.byID, id)
			break
		}
	}
	c.byID[t.ID] = t
}

func (c *templateCache) forget(id registry.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

// template reads a template node, or takes it from the cache, where the
// decoding and compiling has been done. It keeps what it reads.
func (s *Store) template(f fields, account registry.ID) *compiledTemplate {
	if known := s.templates.get(account, f.id("id")); known != nil {
		return known
	}
	t := &compiledTemplate{Template: templateOf(f), account: account}
	if !t.Open {
		var wrong []registry.Violation
		if t.schema, wrong = jsonschema.Compile(t.Properties, t.Required); len(wrong) > 0 {
			f.failed("template %s is broken: %s %s", t.ID, wrong[0].Path, wrong[0].Message)
		}
	}
	if *f.fail == nil {
		s.templates.put(t)
	}
	return t
}

// check returns everything that the template has against attributes.
func (t *compiledTemplate) check(attributes map[string]any) []registry.Violation {
	if t.schema == nil {
		return nil
	}
	return t.schema.Check(attributes)
}

// checkGiven is check for attributes of which some may be given later.
func (t *compiledTemplate) checkGiven(attributes map[string]any) []registry.Violation {
	if t.schema == nil {
		return nil
	}
	return t.schema.CheckGiven(attributes)
}
