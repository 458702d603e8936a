package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/holon-registry/holon/decode"
	"github.com/holon-registry/holon/registry"
)

// KnownDevice is what a source must know of a device, or of an asset that is
// read by hand.
type KnownDevice struct {
	ID registry.ID
	// Reference is as the device was created with it.
	Reference  string
	TemplateID registry.ID
	// Feeds say when devices feed which measures of an asset.
	Feeds []registry.Feed
}

// DeviceSource is the store that the directory asks. Those with lists are batch
// methods: one slot for each thing asked, in order, nil where it is absent.
type DeviceSource interface {
	KnownDevices(ctx context.Context, scope registry.Scope, references []string) ([]*KnownDevice, error)
	KnownAssets(ctx context.Context, scope registry.Scope, references []string) ([]*KnownDevice, error)
	TemplatesByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Template, error)
	// DeviceTemplate returns the newest published template of devices with a name,
	// nil if there is none.
	DeviceTemplate(ctx context.Context, scope registry.Scope, name string) (*registry.Template, error)
	// DeviceTemplates is DeviceTemplate for many names.
	DeviceTemplates(ctx context.Context, scope registry.Scope, names []string) ([]*registry.Template, error)
	// Announce makes devices; one that is there already is no error. It says why
	// there is still none of a reference.
	Announce(ctx context.Context, scope registry.Scope, devices []registry.NewTwin) ([]*registry.Error, error)
	// Unfit says why there can be no device of a template with attributes.
	Unfit(scope registry.Scope, template *registry.Template, attributes registry.Attributes) *registry.Error
	// Report gives devices attributes, where they do not have them already, but none
	// of a message of which one is wrong. It says why one is; a rehearsal only says.
	Report(ctx context.Context, scope registry.Scope, reports []registry.Report, rehearse bool) ([]*registry.Error, error)
}

const (
	// deviceFresh is how long a device is taken for what it was, unless the directory
	// is told that it changed (see news). A worker checks again, so that a reading
	// that slips through becomes a dead letter.
	deviceFresh = 10 * time.Second
	// deviceStale is how long it still is while the store is down: readings are
	// accepted without the graph.
	deviceStale = time.Hour
	// directorySize bounds the directory, in devices.
	directorySize = 200_000
)

// Directory remembers devices, assets and their templates. It is safe for concurrent
// use. Devices that do not exist are asked for every time.
type Directory struct {
	source DeviceSource
	now    func() time.Time

	mu        sync.Mutex
	news      news
	devices   *simplelru.LRU[deviceKey, *knownDevice]
	templates *simplelru.LRU[registry.ID, *registry.Template]
	decoders  *simplelru.LRU[registry.ID, decode.Decoder]
	named     *simplelru.LRU[templateKey, namedTemplate]
}

type deviceKey struct {
	account registry.ID
	deviceName
}

// deviceName is what a reading names: a device, or an asset.
type deviceName struct {
	reference string
	asset     bool
}

func nameIn(r *registry.Reading) deviceName {
	if r.Asset != "" {
		return deviceName{r.Asset, true}
	}
	return deviceName{r.Device, false}
}

type knownDevice struct {
	KnownDevice
	template *registry.Template
	at       time.Time
	// news is the number of the last change that was told before it was asked for.
	news uint64
}

// NewDirectory makes an empty directory. A nil clock is the system's.
func NewDirectory(source DeviceSource, clock func() time.Time) *Directory {
	if clock == nil {
		clock = time.Now
	}
	// The constructor fails for a size of 0 only.
	devices, _ := simplelru.NewLRU[deviceKey, *knownDevice](directorySize, nil)
	templates, _ := simplelru.NewLRU[registry.ID, *registry.Template](10_000, nil)
	decoders, _ := simplelru.NewLRU[registry.ID, decode.Decoder](1000, nil)
	named, _ := simplelru.NewLRU[templateKey, namedTemplate](10_000, nil)
	return &Directory{source: source, now: clock, devices: devices, templates: templates, decoders: decoders, named: named}
}

// find looks up the device of each reading that is not bad, nil where there is
// none. It asks the store once for all devices that it does not know.
func (d *Directory) find(ctx context.Context, scope registry.Scope, readings []registry.Reading, bad []bool) ([]*knownDevice, error) {
	found := make([]*knownDevice, len(readings))
	var missing map[deviceName]*knownDevice // by reference as asked; the last known one, or nil
	now := d.now()
	d.mu.Lock()
	for i := range readings {
		if bad[i] {
			continue
		}
		name := nameIn(&readings[i])
		if i > 0 && !bad[i-1] && name == nameIn(&readings[i-1]) && found[i-1] != nil {
			found[i] = found[i-1]
			continue
		}
		known, ok := d.devices.Get(deviceKey{scope.Account, name})
		if ok && d.fresh(known, now) {
			found[i] = known
			continue
		}
		if missing == nil {
			missing = map[deviceName]*knownDevice{}
		}
		if ok {
			missing[name] = known
		} else if _, noted := missing[name]; !noted {
			missing[name] = nil
		}
	}
	asked := asked{now, d.news.last}
	d.mu.Unlock()
	if len(missing) == 0 {
		return found, nil
	}
	if err := d.ask(ctx, scope, missing, asked); err != nil {
		return nil, err
	}
	for i := range readings {
		if found[i] == nil && !bad[i] {
			found[i] = missing[nameIn(&readings[i])]
		}
	}
	return found, nil
}

// forget makes the directory ask for devices anew, whatever it knows: they, or
// their templates, may just have been mended.
func (d *Directory) forget(scope registry.Scope, readings []registry.Reading) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range readings {
		key := deviceKey{scope.Account, nameIn(&readings[i])}
		if known, ok := d.devices.Peek(key); ok {
			stale := *known
			stale.at = known.at.Add(-deviceFresh)
			d.devices.Add(key, &stale)
		}
	}
}

// ask fills in the missing devices from the store.
func (d *Directory) ask(ctx context.Context, scope registry.Scope, missing map[deviceName]*knownDevice, at asked) error {
	err := d.askKind(ctx, scope, missing, at, false, d.source.KnownDevices)
	if err == nil {
		err = d.askKind(ctx, scope, missing, at, true, d.source.KnownAssets)
	}
	if registry.CodeOf(err) == registry.CodeUnavailable {
		for _, last := range missing {
			if last == nil || at.now.Sub(last.at) > deviceStale {
				return fmt.Errorf("look up devices: %w", err)
			}
		}
		return nil // the store is down: go by what was known last
	}
	if err != nil {
		return fmt.Errorf("look up devices: %w", err)
	}
	return nil
}

// askKind fills in the missing devices, or the missing assets.
func (d *Directory) askKind(ctx context.Context, scope registry.Scope, missing map[deviceName]*knownDevice, at asked, assets bool, known func(context.Context, registry.Scope, []string) ([]*KnownDevice, error)) error {
	var names []deviceName
	var references []string
	for name := range missing {
		if name.asset == assets {
			names, references = append(names, name), append(references, name.reference)
		}
	}
	if len(names) == 0 {
		return nil
	}
	devices, err := known(ctx, scope, references)
	if err != nil {
		return err
	}
	return d.fill(ctx, scope, names, devices, missing, at)
}

func (d *Directory) fill(ctx context.Context, scope registry.Scope, names []deviceName, devices []*KnownDevice, missing map[deviceName]*knownDevice, at asked) error {
	templates := map[registry.ID]*registry.Template{}
	var unknown []registry.ID
	d.mu.Lock()
	for _, device := range devices {
		if device == nil {
			continue
		}
		if _, noted := templates[device.TemplateID]; noted {
			continue
		}
		// A published template never changes, and only such have devices.
		template, ok := d.templates.Get(device.TemplateID)
		templates[device.TemplateID] = template
		if !ok {
			unknown = append(unknown, device.TemplateID)
		}
	}
	d.mu.Unlock()
	if len(unknown) > 0 {
		got, err := d.source.TemplatesByID(ctx, scope, unknown)
		if err != nil {
			return err
		}
		for i, id := range unknown {
			templates[id] = got[i]
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range unknown {
		if templates[id] != nil {
			d.templates.Add(id, templates[id])
		}
	}
	for i, name := range names {
		key := deviceKey{scope.Account, name}
		device := devices[i]
		if device == nil || templates[device.TemplateID] == nil {
			d.devices.Remove(key)
			missing[name] = nil
			continue
		}
		known := &knownDevice{KnownDevice: *device, template: templates[device.TemplateID], at: at.now, news: at.news}
		d.devices.Add(key, known)
		missing[name] = known
	}
	return nil
}
