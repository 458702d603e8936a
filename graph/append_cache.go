package graph

import (
	order "container/list"
	"math"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// forever is the end of a link that holds.
const forever = math.MaxInt64

// deviceCache remembers devices, the least recently used ones leaving first
// when there are too many series.
type deviceCache struct {
	limit, series int
	byID          map[registry.ID]*order.Element // of *knownDevice
	recent        *order.List
}

func newDeviceCache(limit int) *deviceCache {
	return &deviceCache{limit: limit, byID: map[registry.ID]*order.Element{}, recent: order.New()}
}

func (c *deviceCache) clear() {
	c.series = 0
	clear(c.byID)
	c.recent.Init()
}

func (c *deviceCache) find(id registry.ID) *knownDevice {
	element, ok := c.byID[id]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(element)
	return element.Value.(*knownDevice)
}

func (c *deviceCache) add(d *knownDevice) {
	c.byID[d.id] = c.recent.PushFront(d)
	for _, m := range d.measures {
		c.series += len(m.series)
	}
}

// trim makes room, between two batches.
func (c *deviceCache) trim() {
	for c.series > c.limit && c.recent.Len() > 0 {
		last := c.recent.Back()
		d := c.recent.Remove(last).(*knownDevice)
		delete(c.byID, d.id)
		for _, m := range d.measures {
			c.series -= len(m.series)
		}
	}
}

// knownDevice is a device as the partition remembers it, or an asset that is
// read by hand.
type knownDevice struct {
	id, account registry.ID
	// element is the database's own id of the node, the fastest way to it.
	element  string
	template *registry.Template
	// asset says that it is an asset, which devices feed as feeds say.
	asset bool
	feeds []registry.Feed
	// links are all that the device ever had: late readings need old ones.
	links    []knownLink
	measures map[string]*knownMeasure
}

type knownLink struct {
	id           string
	asset        registry.ID
	since, until int64
	// measures maps the device's measures to the asset's.
	measures map[string]assetMeasure
}

// assetMeasure is the other end of a mapping. It takes values of its type only,
// of any if that is empty.
type assetMeasure struct {
	name, unit string
	valueType  registry.ValueType
}

func (a assetMeasure) takes(t registry.ValueType) bool { return a.valueType == "" || a.valueType == t }

// measure finds a measure of the device, or begins to remember it.
func (d *knownDevice) measure(name string) *knownMeasure {
	m := d.measures[name]
	if m == nil {
		m = d.newMeasure(name)
		d.measures[name] = m
	}
	return m
}

// knownMeasure is a measure of a device, with a series for each type that its
// values ever had.
type knownMeasure struct {
	device *knownDevice
	name   string
	// declared is what the device's template says, nil if it declares nothing.
	declared *registry.MeasureDeclaration
	// limited measures have limits that values are held against.
	limited bool
	series  []*knownSeries
	// lastAt is the time of the newest value of any type.
	lastAt int64
	// batch is what the batch at hand brings.
	batch []incoming
	late  []int
}

func (m *knownMeasure) of(t registry.ValueType) *knownSeries {
	for _, s := range m.series {
		if s.valueType == t {
			return s
		}
	}
	return nil
}

// knownSeries is a series of a device. An empty element says that it is yet to
// be made.
type knownSeries struct {
	measure    *knownMeasure
	element    string
	key        string
	valueType  registry.ValueType
	generation int
	// period is the length of a bucket in milliseconds.
	period    int64
	newest    *knownBucket
	lastAt    int64
	lastValue any
	// suspect is what is said of the last value.
	suspect suspicion
	// plan is what the batch at hand does to the series.
	plan *seriesPlan
}

// knownBucket is a bucket of a device's series. An empty element says that it
// is yet to be made.
type knownBucket struct {
	element string
	// links are the ids of the links that the bucket belongs to, sorted.
	links    []string
	from, to int64
	// usableFrom and usableTo bound the times at which the links in force are
	// those of the bucket.
	usableFrom, usableTo int64
	count                int64
	first                int64
	// unit is that of the values; empty where there is none.
	unit string
	// swept says that single measurements are gone: it takes no more.
	swept bool
}

func (b *knownBucket) takes(at int64) bool {
	return b != nil && b.usableFrom <= at && at < b.usableTo
}

// lost says whether what was measured at a time is gone from the bucket, if it
// was there.
func (b *knownBucket) lost(at int64) bool { return b != nil && b.swept && b.from <= at && at < b.to }

// segment is a stretch of time in which the same links of a measure hold.
type segment struct {
	from, to int64
	links    []*knownLink
}

// segment finds the stretch around a time.
func (m *knownMeasure) segment(at int64) segment {
	s := segment{from: math.MinInt64, to: forever}
	for i := range m.device.links {
		l := &m.device.links[i]
		if _, mapped := l.measures[m.name]; !mapped {
			continue
		}
		for _, edge := range [2]int64{l.since, l.until} {
			if edge <= at {
				s.from = max(s.from, edge)
			} else {
				s.to = min(s.to, edge)
			}
		}
		if l.since <= at && at < l.until {
			s.links = append(s.links, l)
		}
	}
	return s
}

func (s segment) ids() []string {
	ids := make([]string, len(s.links))
	for i, l := range s.links {
		ids[i] = l.id
	}
	slices.Sort(ids)
	return ids
}

// settle works out when a bucket can be used: as long as the links in force are
// still those that it was made for.
func (m *knownMeasure) settle(b *knownBucket) {
	s := m.segment(b.from)
	if slices.Equal(s.ids(), b.links) {
		b.usableFrom, b.usableTo = b.from, min(b.to, s.to)
	} else {
		b.usableFrom, b.usableTo = 0, 0
	}
}
