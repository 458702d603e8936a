package ingest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/decode"
	"github.com/holon-registry/holon/registry"
)

// namedTemplate is the newest published template of a name; nil if there is none.
type namedTemplate struct {
	template *registry.Template
	at       time.Time
	news     uint64
}

type templateKey struct {
	account registry.ID
	name    string
}

// templateNamed finds the newest published template of devices with a name, nil
// if there is none. Like devices it is taken for what it was for a while.
func (d *Directory) templateNamed(ctx context.Context, scope registry.Scope, name string) (*registry.Template, error) {
	key, now := templateKey{scope.Account, strings.ToLower(name)}, d.now()
	d.mu.Lock()
	known, ok := d.named.Get(key)
	number := d.news.last
	fresh := ok && now.Sub(known.at) < deviceFresh && !d.news.after(known.news, scope.Account)
	d.mu.Unlock()
	if fresh {
		return known.template, nil
	}
	template, err := d.source.DeviceTemplate(ctx, scope, name)
	if registry.CodeOf(err) == registry.CodeUnavailable && ok && now.Sub(known.at) < deviceStale {
		return known.template, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up template %s: %w", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if template == nil {
		d.named.Remove(key)
	} else {
		d.named.Add(key, namedTemplate{template, now, number})
	}
	return template, nil
}

// forgetTemplate makes the directory ask for a template anew.
func (d *Directory) forgetTemplate(scope registry.Scope, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.named.Remove(templateKey{scope.Account, strings.ToLower(name)})
}

// decoder returns the decoder of a template, or says why there is none. A
// published template never changes, so neither does its decoder.
func (d *Directory) decoder(t *registry.Template) (decode.Decoder, string) {
	if t.Decoder == nil {
		return nil, "template " + t.Name + " has no decoder"
	}
	d.mu.Lock()
	known, ok := d.decoders.Get(t.ID)
	d.mu.Unlock()
	if ok {
		return known, ""
	}
	made, violations := decode.New(*t.Decoder, t)
	if len(violations) > 0 {
		return nil, "version " + strconv.Itoa(t.Version) + " of template " + t.Name + " has a decoder that is not known here: " + violations[0].Path + ": " + violations[0].Message
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decoders.Add(t.ID, made)
	return made, ""
}
