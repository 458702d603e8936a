package main

import (
	"regexp"
	"strings"
)

// kind is what something of the building is in Holon.
type kind string

// The kinds, as GraphQL has them.
const (
	group  kind = "GROUP"
	asset  kind = "ASSET"
	device kind = "DEVICE"
)

// kinds maps the source's kinds to Holon's: places are groups, since things are
// in them; equipment is assets; points, which send or take values, are devices.
var kinds = map[string]kind{"location": group, "equipment": asset, "point": device}

// field is the name of the kind in GraphQL: group, asset or device.
func (k kind) field() string { return strings.ToLower(string(k)) }

// title is the name of the kind's type in GraphQL: Group, Asset or Device.
func (k kind) title() string { return string(k[:1]) + strings.ToLower(string(k[1:])) }

// meaning is what a relation of the source says: one name and one direction for
// the two ways in which Brick states a fact.
type meaning struct {
	name string
	// reversed is true where the source names the object first.
	reversed bool
}

// The names of relations in Holon. Brick's isPartOf cannot be part_of: that is
// one of Holon's own names.
const (
	belongsTo = "belongs_to"
	locatedAt = "located_at"
	feeds     = "feeds"
	pointOf   = "point_of"
)

var meanings = map[string]meaning{
	"isPartOf": {belongsTo, false}, "hasPart": {belongsTo, true},
	"hasLocation": {locatedAt, false}, "isLocationOf": {locatedAt, true},
	"feeds": {feeds, false}, "isFedBy": {feeds, true},
	"isPointOf": {pointOf, false}, "hasPoint": {pointOf, true},
}

// rule is a relation that the templates of a kind allow. None depends on the
// data, so that a template made from one building suits the next.
type rule struct {
	name string
	to   kind
	// inherits makes the object a member of the group, whose policies it inherits.
	inherits bool
}

// rules say, for each kind, which relations go out from it. What feeds a zone is
// its member: a policy for the zone then holds for it.
var rules = map[kind][]rule{
	group:  {{belongsTo, group, true}},
	asset:  {{belongsTo, asset, true}, {locatedAt, group, true}, {locatedAt, asset, true}, {feeds, group, true}, {feeds, asset, true}},
	device: {{pointOf, asset, true}, {pointOf, group, true}, {locatedAt, group, true}, {locatedAt, asset, true}},
}

func fits(from kind, name string, to kind) bool {
	for _, r := range rules[from] {
		if r.name == name && r.to == to {
			return true
		}
	}
	return false
}

// The two hierarchies: where things are, and what the air conditioning serves.
const (
	hvacRoot  = "hvac"     // all HVAC zones
	unplaced  = "unplaced" // places that are in no building
	zoneClass = "HVAC_Zone"
	building  = "Building"
)

var (
	className = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,63}$`)
	placeName = regexp.MustCompile(`^[^/\pC]{1,128}$`)
	reference = regexp.MustCompile(`^[^\pC]{1,256}$`)
)

// validID says whether Holon takes an id as a reference or as a part of a path.
func validID(id string, k kind) bool {
	if strings.TrimSpace(id) != id || id == "." || id == ".." {
		return false
	}
	if k == group {
		return placeName.MatchString(id)
	}
	return reference.MatchString(id)
}

// valueType is the type of a point's one measure: alarms and states are true or
// false, everything else is a number.
func valueType(class string) string {
	for _, end := range []string{"Alarm", "Status"} {
		if strings.HasSuffix(class, end) {
			return "boolean"
		}
	}
	return "number"
}
