package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// indexPrefix begins the names of the indexes of attributes, which all accounts
// share: a kind and a name have one at most.
const indexPrefix = "searched_"

// indexAge is how long it may take to notice an index that another process made.
const indexAge = 5 * time.Second

// indexAgain is how long an index that failed is left alone: another index makes
// the database forget its plans.
const indexAgain = 10 * time.Minute

var indexesShow = named("index.show", `
	SHOW INDEXES YIELD name, state, labelsOrTypes, properties
	WHERE name STARTS WITH $prefix
	RETURN collect({label: labelsOrTypes[0], property: properties[1], state: state}) AS indexes`)

// indexSet is what is known of the indexes of attributes.
type indexSet struct {
	mu     sync.Mutex
	known  map[string]string // "Device name" to the database's state
	readAt time.Time
	// madeAt is when this process made them.
	madeAt map[string]time.Time
}

// online says whether an index serves an attribute.
func (i *indexSet) online(kind registry.Kind, property string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return property != "" && i.known[label(kind)+" "+property] == "ONLINE"
}

// has says whether there is an index of an attribute, in whatever state.
func (i *indexSet) has(kind registry.Kind, property string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known[label(kind)+" "+property] != ""
}

// failed says whether the database gave up making an index.
func (i *indexSet) failed(kind registry.Kind, property string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known[label(kind)+" "+property] == "FAILED"
}

// dueAgain says whether it is time to make an index again that failed.
func (i *indexSet) dueAgain(kind registry.Kind, property string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	name := label(kind) + " " + property
	return i.known[name] == "FAILED" && time.Since(i.madeAt[name]) >= indexAgain
}

// made notes that an index was made just now.
func (i *indexSet) made(kind registry.Kind, property string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.madeAt == nil {
		i.madeAt = map[string]time.Time{}
	}
	i.madeAt[label(kind)+" "+property] = time.Now()
}

func (i *indexSet) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.known)
}

// refresh reads the indexes anew if they were read some time ago.
func (i *indexSet) refresh(ctx context.Context, s *Store) error {
	i.mu.Lock()
	fresh := i.known != nil && time.Since(i.readAt) < indexAge
	i.mu.Unlock()
	if fresh {
		return nil
	}
	return i.read(ctx, s)
}

func (i *indexSet) read(ctx context.Context, s *Store) error {
	known, _, err := one(ctx, s.reading(registry.Scope{}), indexesShow, params{"prefix": indexPrefix}, func(f fields) map[string]string {
		out := map[string]string{}
		for _, index := range f.maps("indexes") {
			out[index.text("label")+" "+index.text("property")] = index.text("state")
		}
		return out
	})
	if err != nil {
		return fmt.Errorf("read indexes: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known, i.readAt = known, time.Now()
	return nil
}

// needsIndexes says whether a conjunct could begin at the index of an attribute.
func needsIndexes(conjuncts []rule.Conjunct) bool {
	return slices.ContainsFunc(conjuncts, func(c rule.Conjunct) bool {
		return (c.Start.Kind == rule.StartEqual || c.Start.Kind == rule.StartRange) && !strings.HasSuffix(c.Start.Property, "Fold")
	})
}
