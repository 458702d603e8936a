package transfer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// cdfLists are the names under which AWS CDF's API returns lists.
var cdfLists = map[string]bool{"results": true, "templates": true, "types": true, "devices": true, "groups": true, "policies": true, "profiles": true}

// cdf is what files of an AWS CDF Asset Library hold.
type cdf struct {
	// kinds are those of the templates, by id.
	kinds                                 map[string]registry.Kind
	templates, groups, policies, profiles []cdfItem
	// devices are many: they wait in a temporary file.
	devices *os.File
	w       *bufio.Writer
	others  []Item
}

// cdfItem is one object with where it came from.
type cdfItem struct {
	Number int    `json:"n"`
	Origin string `json:"o"`
	Object object `json:"v"`
}

// CDF reads files as the REST API of an AWS CDF Asset Library (version 2)
// returns and takes them: templates, groups, devices and policies, one by one,
// in lists or in pages. Records come in Holon's order, whatever that of the
// files. What Holon does not have is in the notes.
func CDF(files []NamedReader) (Feed, error) {
	c := &cdf{kinds: map[string]registry.Kind{"root": registry.KindGroup}}
	var err error
	if c.devices, err = os.CreateTemp("", "holon-import-"); err != nil {
		return nil, err
	}
	// On all systems that Holon runs on, an open file outlives its name.
	if err := os.Remove(c.devices.Name()); err != nil {
		return nil, errors.Join(err, c.devices.Close())
	}
	c.w = bufio.NewWriter(c.devices)
	for _, file := range files {
		n := 0
		err := eachObject(file.Reader, cdfLists, func(o object) error {
			n++
			return c.sort(cdfItem{n, fmt.Sprintf("%s entry %d", file.Name, n), o})
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s after entry %d: %w", file.Name, n, err), c.devices.Close())
		}
	}
	// A group comes after the one that it is in.
	slices.SortStableFunc(c.groups, func(x, y cdfItem) int { return strings.Compare(cdfPath(x.Object), cdfPath(y.Object)) })
	return c.feed, c.w.Flush()
}

// sort puts an object where it belongs.
func (c *cdf) sort(item cdfItem) error {
	o := item.Object
	switch {
	case o["profileId"] != nil:
		c.profiles = append(c.profiles, item)
	case o["policyId"] != nil:
		c.policies = append(c.policies, item)
	case o["deviceId"] != nil:
		if err := json.NewEncoder(c.w).Encode(item); err != nil {
			return err
		}
	case o["groupPath"] != nil || o["parentPath"] != nil:
		c.groups = append(c.groups, item)
	case o["templateId"] != nil:
		kind := registry.KindDevice
		if o.text("category") == "group" {
			kind = registry.KindGroup
		}
		c.kinds[strings.ToLower(o.text("templateId"))] = kind
		c.templates = append(c.templates, item)
	default:
		c.others = append(c.others, Item{Line: item.Number, Origin: item.Origin, Err: registry.InvalidField("object", "kind", "is no template, group, device or policy")})
	}
	return nil
}

func (c *cdf) other(item cdfItem, format string, args ...any) {
	c.others = append(c.others, Item{Line: item.Number, Origin: item.Origin, Notes: []string{fmt.Sprintf(format, args...)}})
}

// feed hands the records over.
func (c *cdf) feed(yield func(Item) error) error {
	defer c.devices.Close()
	for _, item := range c.templates {
		if id := strings.ToLower(item.Object.text("templateId")); id == "root" {
			c.other(item, "template root is the open template here")
			continue
		}
		if err := c.yield(item, yield, c.template); err != nil {
			return err
		}
	}
	for _, item := range c.groups {
		if cdfPath(item.Object) != "/" {
			if err := c.yield(item, yield, c.group); err != nil {
				return err
			}
		}
	}
	for _, convert := range []func(object, *[]string) []registry.Record{c.groupRelations} {
		for _, item := range c.groups {
			if err := c.yield(item, yield, convert); err != nil {
				return err
			}
		}
	}
	for _, convert := range []func(object, *[]string) []registry.Record{c.device, c.deviceRelations} {
		if err := c.eachDevice(func(item cdfItem) error { return c.yield(item, yield, convert) }); err != nil {
			return err
		}
	}
	for _, item := range c.policies {
		if err := c.yield(item, yield, c.policy); err != nil {
			return err
		}
	}
	for _, item := range c.profiles {
		if err := c.yield(item, yield, c.profile); err != nil {
			return err
		}
	}
	for _, item := range c.others {
		if err := yield(item); err != nil {
			return err
		}
	}
	return nil
}

func (c *cdf) yield(item cdfItem, yield func(Item) error, convert func(object, *[]string) []registry.Record) error {
	var notes []string
	for i, record := range convert(item.Object, &notes) {
		out := Item{Line: item.Number, Origin: item.Origin, Record: record}
		if i == 0 {
			out.Notes = notes
		}
		if err := yield(out); err != nil {
			return err
		}
	}
	return nil
}

func (c *cdf) eachDevice(yield func(cdfItem) error) error {
	if _, err := c.devices.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c.devices, 1<<18)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		var item cdfItem
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(&item); err != nil {
			return err
		}
		if err := yield(item); err != nil {
			return err
		}
	}
}

// cdfPath is a group's path. The last part is its name, which keeps its case.
func cdfPath(o object) string {
	path, name := o.text("groupPath"), o.text("name")
	if path == "" && name != "" {
		path = strings.TrimRight(o.text("parentPath"), "/") + "/" + name
	}
	if i := strings.LastIndexByte(path, '/'); i >= 0 && strings.EqualFold(path[i+1:], name) {
		path = path[:i+1] + name
	}
	return path
}
