package ingest

import (
	"time"

	"github.com/holon-registry/holon/registry"
)

// A directory is told of what changes, so that the next reading is judged by it:
// by its own process before the change is answered, by others over Redis a moment
// later. It is told by object, not by account, and only of what it holds: what is
// deleted, linked, unlinked or gets another template. So a fleet that is being
// linked or migrated costs one statement a request that has readings of devices
// that just changed, as a device that is not known does, and the rest of the
// account nothing; and what ingestion itself changes (newcomers, reported
// attributes, alarms, presence) is not told at all. While nothing changes a device
// costs two look-ups in empty maps.

// maxNews bounds what is noted of changes; beyond it everything is read anew.
const maxNews = 50_000

// news are the objects that changed of late, each with the number of its last
// change. Two maps take turns, each for as long as the directory goes by what it
// knows: what was noted before them is nowhere in it.
type news struct {
	// last is the number of the last change, all that of the last one after which
	// nothing is to be gone by.
	last, all     uint64
	newer, before map[registry.ID]uint64
	since         time.Time
}

// note takes in changes.
func (n *news) note(ids []registry.ID, now time.Time) {
	n.last++
	if now.Sub(n.since) >= deviceFresh {
		n.newer, n.before, n.since = nil, n.newer, now
	}
	if len(n.newer)+len(ids) > maxNews {
		n.newer, n.before, n.all = nil, nil, n.last
		return
	}
	if n.newer == nil {
		n.newer = make(map[registry.ID]uint64, len(ids))
	}
	for _, id := range ids {
		n.newer[id] = n.last
	}
}

// after says whether an object has changed after a number.
func (n *news) after(number uint64, id registry.ID) bool {
	return number < n.last && (number < n.all || number < n.newer[id] || number < n.before[id])
}

// Changed makes the directory ask anew for devices and assets, and by the id of an
// account for the templates of its names. It does not wait.
func (d *Directory) Changed(ids []registry.ID) {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.news.note(ids, now)
}

// fresh says whether a device is still what it was.
func (d *Directory) fresh(known *knownDevice, now time.Time) bool {
	return now.Sub(known.at) < deviceFresh && !d.news.after(known.news, known.ID)
}

// asked says when something was asked for: what is told later is not in the answer.
type asked struct {
	now  time.Time
	news uint64
}
