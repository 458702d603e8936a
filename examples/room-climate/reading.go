package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// nodesPerLocation is how many nodes the template of a location has measures for.
const nodesPerLocation = 5

// measure is one of the quantities that a node measures.
type measure struct {
	Name string
	// Type is the measure type, and Unit its UCUM code, empty where there is none.
	Type, Unit string
	Boolean    bool
}

// measures are the last eight columns of a line, in their order.
var measures = [...]measure{
	{Name: "temperature", Type: "room_temperature", Unit: "Cel"},
	{Name: "humidity", Type: "room_humidity", Unit: "%"},
	{Name: "light1", Type: "number"},
	{Name: "light2", Type: "number"},
	{Name: "occupants", Type: "number"},
	{Name: "activity", Type: "number"},
	{Name: "door", Type: "boolean", Boolean: true},
	{Name: "window", Type: "boolean", Boolean: true},
}

// columns of a line: entry id, absolute time, relative time, node, measures.
const columns = 4 + len(measures)

// reading is one line of a file.
type reading struct {
	Location string
	Node     int
	// At is the time of measurement in milliseconds since 1970.
	At     int64
	Values [len(measures)]float64
}

// Device is the reference of the node that measured.
func (r reading) Device() string { return fmt.Sprintf("%s-%d", r.Location, r.Node) }

// value is the i-th measure's value as Holon has it: a float64 or a bool.
func (r reading) value(i int) any {
	if measures[i].Boolean {
		return r.Values[i] != 0
	}
	return r.Values[i]
}

// message is the reading as Holon takes it. The device is left out where the
// topic names it.
func (r reading) message(withDevice bool) map[string]any {
	values := make(map[string]any, len(measures))
	for i, m := range measures {
		values[m.Name] = r.value(i)
	}
	message := map[string]any{"measuredAt": r.At, "values": values}
	if withDevice {
		message["device"] = r.Device()
	}
	return message
}

var fileName = regexp.MustCompile(`^location_([A-Za-z0-9]+)-measurement\d+\.csv$`)

// readFiles reads all files that match a pattern, in the order of their paths.
func readFiles(pattern string) ([]reading, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("-files %q: %w", pattern, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("-files %q: there is no such file", pattern)
	}
	var all []reading
	for _, path := range paths {
		match := fileName.FindStringSubmatch(filepath.Base(path))
		if match == nil {
			return nil, fmt.Errorf("%s: the name is not location_<L>-measurementNN.csv", path)
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		readings, err := parse(match[1], file)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s:%w", path, err)
		}
		all = append(all, readings...)
	}
	return all, nil
}

// parse reads the lines of one location. An error begins with the line's number.
func parse(location string, r io.Reader) ([]reading, error) {
	var all []reading
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		one, err := parseLine(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%d: %w", number, err)
		}
		one.Location = location
		all = append(all, one)
	}
	return all, lines.Err()
}

func parseLine(line string) (reading, error) {
	var r reading
	fields := strings.Split(line, ",")
	if len(fields) != columns {
		return r, fmt.Errorf("%d columns, not %d", len(fields), columns)
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	var err error
	if r.At, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return r, fmt.Errorf("the absolute time: %w", err)
	}
	if r.Node, err = strconv.Atoi(fields[3]); err != nil || r.Node < 1 || r.Node > nodesPerLocation {
		return r, fmt.Errorf("node %q is not one of 1 to %d", fields[3], nodesPerLocation)
	}
	for i, m := range measures {
		v, err := strconv.ParseFloat(fields[4+i], 64)
		switch {
		case err != nil:
			return r, fmt.Errorf("%s: %w", m.Name, err)
		case math.IsNaN(v) || math.IsInf(v, 0):
			return r, fmt.Errorf("%s: %q is no finite number", m.Name, fields[4+i])
		case m.Boolean && v != 0 && v != 1:
			return r, fmt.Errorf("%s: %q is neither 0 nor 1", m.Name, fields[4+i])
		}
		r.Values[i] = v
	}
	return r, nil
}
