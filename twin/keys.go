package twin

import (
	"fmt"
	"hash/fnv"

	"github.com/holon-registry/holon/registry"
)

// Every key of the live state and the feed is made here. What stands in braces
// is the hash tag: keys with the same one are on one node of a Cluster, and one
// script may use them together.

// tags is the number of hash tags that live state is spread over. It is part of
// the keys' names: another number would lose the state, which is no more than
// an emptied cache.
const tags = 16

// tagOf is the hash tag of a twin's live state.
func tagOf(id registry.ID) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % tags)
}

// stateKey is the hash of a twin's newest values: measure -> "ms|JSON value".
// The account is part of the name, so that nobody reads another's twin.
func (s *Store) stateKey(account, id registry.ID) string {
	return fmt.Sprintf("%s:live:{%02d}:%s:%s", s.c.Prefix, tagOf(id), account, id)
}

// stateEpochKey is a random text beside the live state of a hash tag: if it is
// another one, or gone, the state was emptied in between.
func (s *Store) stateEpochKey(tag int) string {
	return fmt.Sprintf("%s:live:{%02d}:epoch", s.c.Prefix, tag)
}

// feedKey is the stream of an account's changes.
func (s *Store) feedKey(account registry.ID) string {
	return s.c.Prefix + ":feed:{" + string(account) + "}"
}

// feedMetaKey is the hash beside it: epoch, number of the last entry, average
// size of an entry.
func (s *Store) feedMetaKey(account registry.ID) string { return s.feedKey(account) + ":meta" }
