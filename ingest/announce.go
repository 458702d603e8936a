package ingest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// A device announces itself by readings that name its template, and says of
// itself what its template lets it. Both are changes of the registry, made before
// its readings are queued: what was acknowledged belongs to a device that is
// there.

// ruleProvisioning is broken by a device that may not announce itself.
const ruleProvisioning = "provisioning"

// newcomer is a reading whose device is to be made.
type newcomer struct {
	index    int
	template *registry.Template
}

// announced finds the templates that readings of unknown devices name, by the
// names' lower case.
func (r *Receiver) announced(ctx context.Context, principal *registry.Principal, readings []registry.Reading, devices []*knownDevice, bad []bool) (map[string]*registry.Template, error) {
	var names []string
	for i := range readings {
		if bad[i] || devices[i] != nil || readings[i].Asset != "" || readings[i].Template == "" || principal.Bound() {
			continue
		}
		if name := strings.ToLower(readings[i].Template); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	found, err := r.directory.source.DeviceTemplates(ctx, principal.Scope, names)
	if err != nil {
		return nil, fmt.Errorf("look up templates: %w", err)
	}
	out := make(map[string]*registry.Template, len(names))
	for i, name := range names {
		out[name] = found[i]
	}
	return out, nil
}

// checkNewcomer looks at a reading of an unknown device that names a template:
// nil if its device is not to be made.
func (c *checked) checkNewcomer(i int, reading *registry.Reading, template *registry.Template) *registry.Template {
	wrong := ""
	switch {
	case template == nil:
		wrong = "there is no device " + strconv.Quote(reading.Device) + ", and no published template " + strconv.Quote(reading.Template) + " to make it of"
	case !template.Provisions():
		wrong = "there is no device " + strconv.Quote(reading.Device) + ", and devices of template " + template.Name + " do not announce themselves"
	}
	if wrong != "" {
		c.fault(i, registry.ReasonUnknownDevice, "device", ruleProvisioning, wrong)
		return nil
	}
	if violation := registry.CheckReference("device", reading.Device); violation != nil {
		c.fault(i, registry.ReasonMalformed, violation.Path, violation.Rule, violation.Message)
	}
	c.newcomers = append(c.newcomers, newcomer{i, template})
	return template
}

// checkReported looks at what a reading says of its device.
func (c *checked) checkReported(i int, reading *registry.Reading, template *registry.Template) {
	for _, name := range slices.Sorted(maps.Keys(reading.Attributes)) {
		if !template.Reports(name) {
			c.fault(i, registry.ReasonMalformed, "attributes."+name, "reported", "template "+template.Name+" does not let a device set this attribute")
		}
	}
}

// note lets a reading that is queued say of its device what it did.
func (c *checked) note(i int, reading *registry.Reading) {
	c.readings[i].Template = reading.Template
	if len(reading.Attributes) == 0 {
		return
	}
	said, err := json.Marshal(reading.Attributes)
	if err != nil {
		c.fault(i, registry.ReasonMalformed, "attributes", "type", "are no JSON object")
	}
	c.readings[i].Attributes = said
}

// announce makes the devices, and sets the attributes, of the readings that are
// taken: those of messages without a fault, and message says which one a reading
// is of. What cannot be made or set is a fault of its readings, and is found
// before anything is, but for what others do meanwhile; its error is one of the
// store.
func (r *Receiver) announce(ctx context.Context, principal *registry.Principal, c *checked, readings []registry.Reading, message func(int) int) error {
	if len(c.newcomers) > 0 {
		if err := r.foresee(ctx, principal, c, readings, message); err != nil {
			return err
		}
		if err := r.makeNewcomers(ctx, principal, c, readings, c.faultless(message)); err != nil {
			return err
		}
	}
	return r.report(ctx, principal, c, readings, message, false)
}

// foresee finds what announce finds before it makes or sets anything.
func (r *Receiver) foresee(ctx context.Context, principal *registry.Principal, c *checked, readings []registry.Reading, message func(int) int) error {
	if len(c.newcomers) > 0 {
		r.checkNewcomers(principal, c, readings, message)
	}
	return r.report(ctx, principal, c, readings, message, true)
}

// faultless says of a reading whether nothing was wrong so far with its message.
func (c *checked) faultless(message func(int) int) func(int) bool {
	faulty := map[int]bool{}
	for _, f := range c.faults {
		faulty[message(f.Index)] = true
	}
	return func(i int) bool { return !faulty[message(i)] }
}

// checkNewcomers finds the messages whose devices cannot be made as they say,
// each beside what the messages before it say of the same devices.
func (r *Receiver) checkNewcomers(principal *registry.Principal, c *checked, readings []registry.Reading, message func(int) int) {
	taken := c.faultless(message)
	fit := map[string]registry.Attributes{} // by device
	for from := 0; from < len(c.newcomers); {
		of := map[string]registry.Attributes{}
		to := from
		for ; to < len(c.newcomers) && message(c.newcomers[to].index) == message(c.newcomers[from].index); to++ {
			i := c.newcomers[to].index
			key := rule.Fold(readings[i].Device)
			if of[key] == nil {
				of[key] = maps.Clone(fit[key])
			}
			if of[key] == nil {
				of[key] = registry.Attributes{}
			}
			maps.Copy(of[key], readings[i].Attributes)
		}
		right := true
		for _, n := range c.newcomers[from:to] {
			if c.bad[n.index] || !taken(n.index) {
				right = false
			} else if e := r.directory.source.Unfit(principal.Scope, n.template, of[rule.Fold(readings[n.index].Device)]); e != nil {
				right = false
				c.refusedBy(n.index, "device", e)
			}
		}
		if right {
			maps.Copy(fit, of)
		}
		from = to
	}
}

func (r *Receiver) makeNewcomers(ctx context.Context, principal *registry.Principal, c *checked, readings []registry.Reading, taken func(int) bool) error {
	var made []registry.NewTwin
	place := map[string]int{} // of a device among those that are made
	var waiting []newcomer
	for _, n := range c.newcomers {
		if c.bad[n.index] || !taken(n.index) {
			continue
		}
		reading := &readings[n.index]
		key := rule.Fold(reading.Device)
		if _, met := place[key]; !met {
			place[key] = len(made)
			made = append(made, registry.NewTwin{
				Reference: reading.Device, Template: n.template.Name, State: registry.StateUnprovisioned, Attributes: registry.Attributes{},
			})
		}
		if made[place[key]].Template == n.template.Name { // otherwise they are looked at when it is known what it is
			maps.Copy(made[place[key]].Attributes, reading.Attributes)
		}
		waiting = append(waiting, n)
	}
	if len(made) == 0 {
		return nil
	}
	wrong := make([]*registry.Error, 0, len(made))
	for part := range slices.Chunk(made, registry.MaxBulk) {
		errs, err := r.directory.source.Announce(ctx, principal.Scope, part)
		if err != nil {
			return fmt.Errorf("make devices: %w", err)
		}
		wrong = append(wrong, errs...)
	}
	devices, err := r.directory.find(ctx, principal.Scope, readings, c.bad)
	if err != nil {
		return err
	}
	for _, n := range waiting {
		i := n.index
		if e := wrong[place[rule.Fold(readings[i].Device)]]; e != nil {
			c.refusedBy(i, "device", e)
			continue
		}
		device := devices[i]
		if device == nil {
			c.fault(i, registry.ReasonUnknownDevice, "device", ruleUnknown, "the device "+strconv.Quote(readings[i].Device)+" was deleted just now")
			continue
		}
		if device.template.ID != n.template.ID { // somebody else, or another reading, made it of that one
			c.checkReading(i, &readings[i], device, r.now())
			c.checkReported(i, &readings[i], device.template)
		}
		c.settle(i, device)
	}
	return nil
}

// settle says which device a reading is of.
func (c *checked) settle(i int, device *knownDevice) {
	c.readings[i].DeviceID, c.readings[i].Reference = device.ID, device.Reference
	for j := range c.split[i] {
		c.split[i][j].DeviceID, c.split[i][j].Reference = device.ID, device.Reference
	}
}

// refusedBy is a fault that the registry found.
func (c *checked) refusedBy(i int, path string, e *registry.Error) {
	for _, v := range e.Violations {
		c.fault(i, registry.ReasonMalformed, v.Path, v.Rule, v.Message)
	}
	if len(e.Violations) == 0 {
		c.fault(i, registry.ReasonMalformed, cmp.Or(e.Field, path), strings.ToLower(string(e.Code)), e.Message)
	}
}

// report sets what devices say of themselves, or only checks it.
func (r *Receiver) report(ctx context.Context, principal *registry.Principal, c *checked, readings []registry.Reading, message func(int) int, rehearse bool) error {
	type saying struct {
		device  registry.ID
		message int
	}
	if len(c.reporting) == 0 {
		return nil
	}
	var reports []registry.Report
	place := map[saying]int{}
	taken := c.faultless(message)
	for _, i := range c.reporting {
		of := saying{c.readings[i].DeviceID, message(i)}
		if c.bad[i] || !taken(i) || of.device == "" {
			continue
		}
		if _, known := place[of]; !known {
			place[of] = len(reports)
			reports = append(reports, registry.Report{Device: of.device, Attributes: registry.Attributes{}, Message: of.message})
		}
		maps.Copy(reports[place[of]].Attributes, readings[i].Attributes)
	}
	if len(reports) == 0 {
		return nil
	}
	wrong, err := r.directory.source.Report(ctx, principal.Scope, reports, rehearse)
	if err != nil {
		return fmt.Errorf("set what devices report: %w", err)
	}
	for _, i := range c.reporting {
		if at, reported := place[saying{c.readings[i].DeviceID, message(i)}]; reported && !c.bad[i] && wrong[at] != nil {
			c.refusedBy(i, "attributes", wrong[at])
		}
	}
	return nil
}
