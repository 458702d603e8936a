package registry

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what a user may name and nest.
const (
	MaxReference      = 256 // characters of a device's, asset's or policy's reference
	MaxGroupName      = 128 // characters of one part of a path
	MaxGroupDepth     = 32  // groups above a group
	MaxPathBytes      = 2000
	MaxDescription    = 10_000 // characters
	MaxPolicyGroups   = 64     // groups that a policy applies to
	MaxTemplateParts  = 256    // properties, relations, measures or components of a template
	MaxSearched       = 24     // properties that an account's templates declare searched
	MaxRelationsAtOne = 1000   // relations given when an object is made or changed
	MaxComponents     = 1000   // components given when a device is made
	MaxComponentDepth = 8      // devices that a component is within
	MaxPartDepth      = 32     // assets that an asset is a part of, one within the other
	MaxURI            = 2048   // characters of an external reference and of an image's URL
)

var (
	attributeName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)
	relationName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
	templateName  = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,63}$`)
	measureName   = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)
)

// builtInRelations are names of relationships that mean something to Holon.
var builtInRelations = map[string]bool{
	"child_of": true, "instance_of": true, "may_relate": true, "component_of": true, "part_of": true, "applies_to": true,
	"linked_to": true, "has_profile": true, "gives": true, "has_series": true, "has_newest": true, "has_bucket": true, "has_measurement": true, "has_measure": true,
}

// BuiltInRelation says whether a relationship of this name, in upper case, is
// Holon's own. Users may have relations of these names all the same: the store
// tells the two apart.
func BuiltInRelation(name string) bool {
	return builtInRelations[name] || strings.HasPrefix(name, "was_")
}

// builtInAttributes are names of properties that every object may have.
var builtInAttributes = map[string]bool{
	"id": true, "account": true, "version": true, "createdAt": true, "updatedAt": true, "createdBy": true, "updatedBy": true,
	"description": true, "key": true, "keyFold": true, "encoded": true, "kind": true, "template": true, "templateFold": true,
	"reference": true, "state": true, "path": true, "depth": true,
	"connected": true, "externalReference": true, "imageUrl": true, "searchText": true, "componentName": true, "componentDepth": true,
}

// BuiltInAttribute says whether a name is Holon's own on objects of a kind and
// cannot be an attribute's.
func BuiltInAttribute(kind Kind, name string) bool {
	return builtInAttributes[name] || kind == KindGroup && name == "name"
}

// AttributeName says whether a name can be an attribute's, or that of a part
// of one.
func AttributeName(name string) bool { return attributeName.MatchString(name) }

// CheckAttributeName tells what is wrong with an attribute's name, nil if
// nothing is.
func CheckAttributeName(path string, kind Kind, name string) *Violation {
	switch {
	case !attributeName.MatchString(name):
		return &Violation{path, "name", "a name is 1 to 64 letters, digits and underscores and does not begin with a digit"}
	case BuiltInAttribute(kind, name):
		return &Violation{path, "reserved", fmt.Sprintf("%q is one of Holon's own names", name)}
	}
	return nil
}

// CheckRelationName tells what is wrong with a relation's name, nil if nothing
// is.
func CheckRelationName(path, name string) *Violation {
	if !relationName.MatchString(name) {
		return &Violation{path, "name", "a relation's name is 1 to 48 lower-case letters, digits and underscores and begins with a letter"}
	}
	return nil
}

// CheckReference tells what is wrong with a user's own key, nil if nothing is.
func CheckReference(path, reference string) *Violation {
	if n := utf8.RuneCountInString(reference); n < 1 || n > MaxReference || !utf8.ValidString(reference) || strings.Trim(reference, spaces) != reference {
		return &Violation{path, "format", fmt.Sprintf("is 1 to %d characters without spaces at the ends", MaxReference)}
	}
	return checkVisible(path, reference)
}

// CheckGroupName tells what is wrong with the last part of a path, nil if
// nothing is.
func CheckGroupName(path, name string) *Violation {
	n := utf8.RuneCountInString(name)
	if n < 1 || n > MaxGroupName || strings.Contains(name, "/") || !utf8.ValidString(name) || name == "." || name == ".." || strings.Trim(name, spaces) != name {
		return &Violation{path, "format", fmt.Sprintf("is 1 to %d characters without /, without spaces at the ends, and neither . nor ..", MaxGroupName)}
	}
	return checkVisible(path, name)
}

// CheckDescription tells what is wrong with a description, nil if nothing is.
func CheckDescription(description *string) *Violation {
	if description != nil && (utf8.RuneCountInString(*description) > MaxDescription || !utf8.ValidString(*description)) {
		return &Violation{"description", "maxLength", fmt.Sprintf("has at most %d characters", MaxDescription)}
	}
	return nil
}

// Check returns everything that is wrong with details.
func (d Details) Check() []Violation {
	c := checker{}
	if r := d.ExternalReference; r != nil {
		if *r == "" || utf8.RuneCountInString(*r) > MaxURI || !utf8.ValidString(*r) {
			c.add("externalReference", "format", "is 1 to %d characters", MaxURI)
		}
		c.take(checkVisible("externalReference", *r))
	}
	if u := d.ImageURL; u != nil {
		parsed, err := url.Parse(*u)
		if err != nil || *u == "" || utf8.RuneCountInString(*u) > MaxURI || strings.EqualFold(parsed.Scheme, "javascript") {
			c.add("imageUrl", "format", "is a URL of at most %d characters, and no script", MaxURI)
		}
	}
	return c.violations
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// Check returns everything that is wrong with a policy, apart from groups that
// do not exist.
func (n NewPolicy) Check() []Violation {
	c := checker{}
	c.take(CheckReference("reference", n.Reference))
	c.take(CheckReference("type", n.Type))
	c.take(CheckDescription(n.Description))
	if n.Document == nil {
		c.add("document", "required", "is a JSON object")
	}
	if len(n.AppliesTo) < 1 || len(n.AppliesTo) > MaxPolicyGroups {
		c.add("appliesTo", "range", "names 1 to %d groups", MaxPolicyGroups)
	}
	return c.violations
}

// checker gathers violations.
type checker struct{ violations []Violation }

func (c *checker) add(path, rule, format string, args ...any) {
	c.violations = append(c.violations, Violation{path, rule, fmt.Sprintf(format, args...)})
}

func (c *checker) take(v *Violation) {
	if v != nil {
		c.violations = append(c.violations, *v)
	}
}

// takeAs takes what is wrong with something at another path.
func (c *checker) takeAs(path string, v *Violation) {
	if v != nil {
		c.add(path, v.Rule, "%s", v.Message)
	}
}
