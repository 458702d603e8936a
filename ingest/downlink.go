package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// Downlink is the store of what devices are told. See docs/adr/0026.
type Downlink interface {
	// ClaimCommands marks commands that wait for a device as sent and returns them:
	// from then on nobody else gets them.
	ClaimCommands(ctx context.Context, scope registry.Scope, device registry.ID, most int) ([]*registry.Command, error)
	// ReturnCommand puts a command back that was claimed and certainly not sent.
	ReturnCommand(ctx context.Context, scope registry.Scope, id registry.ID) error
	CommandDelivered(ctx context.Context, scope registry.Scope, id registry.ID) error
	ReplyCommand(ctx context.Context, scope registry.Scope, device registry.ID, reply registry.CommandReply) error
	// DesiredOf returns what twins are to become, one slot an id.
	DesiredOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Desired, error)
}

const (
	// downlinkEvery is how often a connection looks for what there is for its
	// devices, beside when it is told.
	downlinkEvery = 10 * time.Second
	// arriveFor is how long a command may take to the client's end before the next
	// is sent.
	arriveFor = 30 * time.Second
	// maxDownlinks bounds the devices that one connection follows.
	maxDownlinks = 1000
)

// downTo is where a client wants something sent; nowhere, if it has no name.
type downTo struct {
	// name is what the client calls it: a topic, or the reference of a device.
	name string
	// acknowledged says that the client's end tells what has arrived.
	acknowledged bool
}

// downSub is what a connection follows of one device.
type downSub struct {
	device            registry.ID
	commands, desired downTo
	// version is that of the desired state that was sent last, 0 before the first.
	version int
}

// downLine is a connection as seen by what is sent over it.
type downLine interface {
	// closed says that certainly nothing can be sent any more.
	closed() bool
	// sendCommand is false only if certainly nothing was sent. Arrived, unless it is
	// nil, gets whether the client's end has the command.
	sendCommand(to downTo, c *registry.Command) (sent bool, arrived <-chan bool)
	// sendDesired says whether it was sent. The first of a subscription is what holds
	// already.
	sendDesired(to downTo, d *registry.Desired, first bool) bool
}

// downlink sends a connection what there is for its devices.
type downlink struct {
	hub   *downlinks
	store Downlink
	line  downLine
	// who finds out whose connection it is, each time anew: a key that was deleted
	// ends here.
	who   func(context.Context) (*registry.Principal, error)
	ended <-chan struct{}
	log   zerolog.Logger
	wake  chan struct{}

	mu   sync.Mutex
	subs map[registry.ID]*downSub
}

func (d *downlinks) open(store Downlink, line downLine, who func(context.Context) (*registry.Principal, error), ended <-chan struct{}, log zerolog.Logger) *downlink {
	return &downlink{hub: d, store: store, line: line, who: who, ended: ended, log: log, wake: make(chan struct{}, 1), subs: map[registry.ID]*downSub{}}
}

// expect notes that a device is about to be followed, unless they are too many, or
// the connection has ended.
func (d *downlink) expect(device registry.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.ended:
		return false
	default:
	}
	if d.subs[device] == nil {
		if len(d.subs) >= maxDownlinks {
			return false
		}
		d.subs[device] = &downSub{device: device}
		d.hub.add(device, d)
	}
	return true
}

// follow changes what is followed of a device that is expected.
func (d *downlink) follow(device registry.ID, change func(*downSub)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sub := d.subs[device]; sub != nil {
		change(sub)
	}
}

// drop changes what is followed of any device, and forgets those of which nothing
// is followed any more.
func (d *downlink) drop(change func(*downSub)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for device, sub := range d.subs {
		change(sub)
		if sub.commands.name == "" && sub.desired.name == "" {
			delete(d.subs, device)
			d.hub.remove(device, d)
		}
	}
}

func (d *downlink) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// close forgets all that a connection followed that has ended.
func (d *downlink) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for device := range d.subs {
		d.hub.remove(device, d)
	}
	clear(d.subs)
}

// run sends until the connection ends.
func (d *downlink) run() {
	defer d.close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-d.ended
		cancel()
	}()
	ticker := time.NewTicker(downlinkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.ended:
			return
		case <-d.wake:
		case <-ticker.C:
		}
		d.mu.Lock()
		subs := slices.Collect(maps.Values(d.subs))
		d.mu.Unlock()
		for _, sub := range subs {
			if err := d.serve(ctx, sub); err != nil && !errors.Is(err, context.Canceled) {
				d.log.Warn().Err(err).Str("device", string(sub.device)).Msg("a device could not be told what there is for it")
			}
			if ctx.Err() != nil || d.line.closed() {
				break
			}
		}
	}
}

// serve sends a device everything that there is for it.
func (d *downlink) serve(ctx context.Context, sub *downSub) error {
	ctx, cancel := context.WithTimeout(ctx, 2*arriveFor)
	defer cancel()
	principal, err := d.who(ctx)
	if err != nil {
		return err
	}
	if err := d.sendDesired(ctx, principal.Scope, sub); err != nil {
		return err
	}
	for more := true; more && ctx.Err() == nil; {
		if more, err = d.sendCommand(ctx, principal.Scope, sub); err != nil {
			return err
		}
	}
	return nil
}

// sendDesired sends what the device is to become, unless it has that already.
func (d *downlink) sendDesired(ctx context.Context, scope registry.Scope, sub *downSub) error {
	d.mu.Lock()
	to, version := sub.desired, sub.version
	d.mu.Unlock()
	if to.name == "" {
		return nil
	}
	desired, err := d.store.DesiredOf(ctx, scope, []registry.ID{sub.device})
	if err != nil || desired[0] == nil || desired[0].Version <= version {
		return err
	}
	if d.line.sendDesired(to, desired[0], version == 0) {
		d.mu.Lock()
		sub.version = max(sub.version, desired[0].Version)
		d.mu.Unlock()
	}
	return nil
}

// sendCommand sends the next command and waits until the device's end has it.
// What was claimed is sent once: what happens after that is not known, and no
// reason to send it again.
func (d *downlink) sendCommand(ctx context.Context, scope registry.Scope, sub *downSub) (more bool, err error) {
	d.mu.Lock()
	to := sub.commands
	d.mu.Unlock()
	if to.name == "" || ctx.Err() != nil || d.line.closed() {
		return false, nil
	}
	// A command whose claim was broken off might be claimed, and would never be sent
	// nor put back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*arriveFor)
	defer cancel()
	claimed, err := d.store.ClaimCommands(ctx, scope, sub.device, 1)
	if err != nil || len(claimed) == 0 {
		return false, err
	}
	sent, arrived := d.line.sendCommand(to, claimed[0])
	if !sent {
		return false, d.store.ReturnCommand(ctx, scope, claimed[0].ID)
	}
	if arrived == nil {
		return true, nil
	}
	timer := time.NewTimer(arriveFor)
	defer timer.Stop()
	select {
	case has := <-arrived:
		if has {
			return true, d.store.CommandDelivered(ctx, scope, claimed[0].ID)
		}
	case <-timer.C:
	case <-d.ended:
		return false, nil
	}
	return true, nil
}

// downlinks are the connections that follow devices.
type downlinks struct {
	mu       sync.Mutex
	byDevice map[registry.ID]map[*downlink]bool
}

func (d *downlinks) add(device registry.ID, of *downlink) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byDevice == nil {
		d.byDevice = map[registry.ID]map[*downlink]bool{}
	}
	if d.byDevice[device] == nil {
		d.byDevice[device] = map[*downlink]bool{}
	}
	d.byDevice[device][of] = true
}

func (d *downlinks) remove(device registry.ID, of *downlink) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byDevice[device], of)
	if len(d.byDevice[device]) == 0 {
		delete(d.byDevice, device)
	}
}

// tell says that there is something for a device: a command, or what it is to
// become.
func (d *downlinks) tell(device registry.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for of := range d.byDevice[device] {
		of.nudge()
	}
}

// devicesFor finds the devices that a key may speak for, one slot a reference: nil
// where to this key there is none.
func (r *Receiver) devicesFor(ctx context.Context, principal *registry.Principal, references []string) ([]*knownDevice, error) {
	named := make([]registry.Reading, len(references))
	for i, reference := range references {
		named[i].Device = reference
	}
	found, err := r.directory.find(ctx, principal.Scope, named, make([]bool, len(named)))
	if err != nil {
		return nil, err
	}
	for i, device := range found {
		if device != nil && !principal.MaySend(device.ID) {
			found[i] = nil
		}
	}
	return found, nil
}

// deviceFor is devicesFor for one.
func (r *Receiver) deviceFor(ctx context.Context, principal *registry.Principal, reference string) (*knownDevice, error) {
	found, err := r.devicesFor(ctx, principal, []string{reference})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// replyOf reads a device's answer to a command: {"id", "status", "result", "error"},
// or says what is wrong with it. An error that is no text is kept as JSON.
func replyOf(payload []byte) (reply registry.CommandReply, wrong string) {
	var answer struct {
		ID     registry.ID `json:"id"`
		Status string      `json:"status"`
		Result any         `json:"result"`
		Error  any         `json:"error"`
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil || answer.ID == "" || answer.Status != "ok" && answer.Status != "failed" {
		return reply, `an answer is {"id": "...", "status": "ok" or "failed", "result": ...}`
	}
	return registry.CommandReply{ID: answer.ID, Failed: answer.Status == "failed", Result: answer.Result, Error: errorText(answer.Error)}, ""
}

// errorText is what a device says of why it failed, as a text of bounded length.
func errorText(said any) string {
	text, ok := said.(string)
	if !ok && said != nil {
		encoded, err := json.Marshal(said)
		if err != nil {
			return ""
		}
		text = string(encoded)
	}
	text = strings.TrimSpace(text)
	if utf8.RuneCountInString(text) <= registry.MaxCommandError {
		return text
	}
	return string([]rune(text)[:registry.MaxCommandError-1]) + "…"
}
