package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// TemplateRef names one version of a template, by id, or a template with all
// its versions, by kind and name.
type TemplateRef struct {
	ID   ID
	Kind Kind
	Name string
	// IfVersion and IfRevision refuse a change with CONFLICT when the version's
	// number, or its revision, differs.
	IfVersion, IfRevision *int
}

// NewTemplate is what a template is made from.
type NewTemplate struct {
	Kind        Kind
	Name        string
	Description *string
	Properties  map[string]any
	Required    []string
	Relations   []RelationRule
	// Measures name their measure type; ValueType is filled in by the store.
	Measures []MeasureDeclaration
	// Components names templates of devices; for devices only.
	Components []string
	// Searched names properties with plain values.
	Searched    []string
	Annotations Annotations
	Behaviour
	Publish bool
}

// TemplatePatch is the new definition of a template's draft. A part that is nil
// stays as the newest version has it; one that is empty is emptied.
type TemplatePatch struct {
	Description Optional[string]
	Properties  map[string]any
	Required    []string
	Relations   []RelationRule
	Measures    []MeasureDeclaration
	Components  []string
	Searched    []string
	Annotations Annotations
	// Provisioning is nil to leave it.
	Provisioning *Provisioning
	Reported     []string
	// Silence is nil to leave it; 0 is never.
	Silence *time.Duration
	// ManyAssets is nil to leave it.
	ManyAssets *bool
	Commands   []CommandDeclaration
	Alarms     []AlarmRule
	Decoder    Optional[TemplateDecoder]
}

// Apply is the definition that a patch makes of a version's.
func (p TemplatePatch) Apply(t *Template) NewTemplate {
	n := NewTemplate{
		Kind: t.Kind, Name: t.Name, Description: t.Description, Properties: t.Properties, Required: t.Required,
		Relations: t.Relations, Measures: t.Measures, Components: t.Components, Searched: t.Searched, Annotations: t.Annotations, Behaviour: t.Behaviour,
	}
	if p.Description.Set {
		n.Description = p.Description.Value
	}
	if p.Properties != nil {
		n.Properties = p.Properties
	}
	instead(&n.Required, p.Required)
	instead(&n.Relations, p.Relations)
	instead(&n.Measures, p.Measures)
	instead(&n.Components, p.Components)
	instead(&n.Searched, p.Searched)
	instead(&n.Reported, p.Reported)
	if p.Annotations != nil {
		n.Annotations = p.Annotations
	}
	if p.Provisioning != nil {
		n.Provisioning = *p.Provisioning
	}
	instead(&n.Commands, p.Commands)
	instead(&n.Alarms, p.Alarms)
	if p.Silence != nil {
		n.SilenceSeconds = p.Silence.Seconds()
	}
	if p.Decoder.Set {
		n.Decoder = p.Decoder.Value
	}
	if p.ManyAssets != nil {
		n.OneAsset = !*p.ManyAssets
	}
	return n
}

func instead[T any](part *[]T, given []T) {
	if given != nil {
		*part = given
	}
}

// Normal is the definition as it is kept: names of relations in lower case, JSON
// as it is read back, empty lists as nil.
func (n NewTemplate) Normal() (NewTemplate, error) {
	text, err := json.Marshal(n.Properties)
	if err == nil {
		n.Properties = nil
		err = json.Unmarshal(text, &n.Properties)
	}
	if err != nil {
		return n, InvalidField("properties", "schema", "is not a JSON object of JSON Schemas")
	}
	if n.Properties == nil {
		n.Properties = map[string]any{}
	}
	n.Relations = some(n.Relations)
	for i := range n.Relations {
		n.Relations[i].Name = strings.ToLower(n.Relations[i].Name)
		n.Relations[i].Templates = some(n.Relations[i].Templates)
	}
	n.Required, n.Measures, n.Components, n.Searched = some(n.Required), some(n.Measures), some(n.Components), some(n.Searched)
	for i := range n.Measures {
		n.Measures[i].Unit, n.Measures[i].Annotations = unitCode(n.Measures[i].Unit), normalAnnotations(n.Measures[i].Annotations)
		if n.Measures[i].Manual == ManualUnfed {
			n.Measures[i].Manual = ""
		}
	}
	n.Annotations = normalAnnotations(n.Annotations)
	n.Commands, n.Alarms, n.Reported = some(n.Commands), some(n.Alarms), some(n.Reported)
	if n.Provisioning == ProvisioningClosed {
		n.Provisioning = ""
	}
	if n.Decoder != nil {
		if n.Decoder, err = n.Decoder.normal(); err != nil {
			return n, err
		}
	}
	for i := range n.Alarms {
		if n.Alarms[i].Trigger == "" {
			n.Alarms[i].Trigger = TriggerBecomesTrue
		}
	}
	return n, nil
}

// some is a copy of a list, nil for an empty one.
func some[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}

// Check returns everything that is wrong with a template in normal form, apart
// from the JSON Schemas of its properties and from measure types and templates
// that do not exist.
func (n NewTemplate) Check() []Violation {
	c := checker{}
	if !templateName.MatchString(n.Name) {
		c.add("name", "name", "a template's name is 1 to 64 letters, digits, dashes and underscores and begins with a letter")
	}
	if strings.EqualFold(n.Name, OpenTemplate) {
		c.add("name", "reserved", "%q is the built-in template", OpenTemplate)
	}
	c.take(CheckDescription(n.Description))
	for _, part := range []struct {
		what  string
		count int
	}{{"properties", len(n.Properties)}, {"relations", len(n.Relations)}, {"measures", len(n.Measures)}, {"components", len(n.Components)}} {
		if part.count > MaxTemplateParts {
			c.add(part.what, "maxItems", "has at most %d", MaxTemplateParts)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
		c.take(CheckAttributeName("properties."+name, n.Kind, name))
	}
	n.checkRelations(&c)
	n.checkMeasures(&c)
	n.checkComponents(&c)
	n.checkSearched(&c)
	n.checkAnnotations(&c)
	n.checkBehaviour(&c)
	return c.violations
}

func (n NewTemplate) checkRelations(c *checker) {
	seen := map[string]bool{}
	for i, rule := range n.Relations {
		path := fmt.Sprintf("relations[%d]", i)
		c.take(CheckRelationName(path+".name", rule.Name))
		key := fmt.Sprintf("%s %s %s", rule.Name, rule.Direction, rule.Kind)
		if seen[key] {
			c.add(path, "unique", "there is another rule of this name, direction and kind: list all its templates in one")
		}
		seen[key] = true
		checkTemplateNames(c, path+".templates", rule.Templates)
	}
}

func checkTemplateNames(c *checker, path string, list []string) {
	for i, template := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !templateName.MatchString(template) {
			c.add(at, "name", "%q is not a template's name", template)
		}
		if names(list[:i], template) {
			c.add(at, "unique", "%q stands there twice", template)
		}
	}
}

func (n NewTemplate) checkMeasures(c *checker) {
	if n.Kind == KindGroup && len(n.Measures) > 0 {
		c.add("measures", "kind", "only devices and assets have measures")
	}
	seen := map[string]bool{}
	for i, measure := range n.Measures {
		path := fmt.Sprintf("measures[%d]", i)
		if !measureName.MatchString(measure.Name) {
			c.add(path+".name", "name", "a measure's name is 1 to 64 letters, digits and underscores and does not begin with a digit")
		}
		if seen[measure.Name] {
			c.add(path+".name", "unique", "there is another measure %q", measure.Name)
		}
		seen[measure.Name] = true
		checkUnit(c, path+".unit", measure.Unit)
		measure.checkLimits(c, path)
		measure.checkManual(c, path, n.Kind)
		measure.checkKeep(c, path)
	}
}

func (n NewTemplate) checkComponents(c *checker) {
	if n.Kind != KindDevice && len(n.Components) > 0 {
		c.add("components", "kind", "only devices have components")
	}
	checkTemplateNames(c, "components", n.Components)
}

func (n NewTemplate) checkSearched(c *checker) {
	if len(n.Searched) > MaxSearched {
		c.add("searched", "maxItems", "names at most %d properties", MaxSearched)
	}
	for i, name := range n.Searched {
		path := fmt.Sprintf("searched[%d]", i)
		schema, declared := n.Properties[name]
		switch {
		case !declared:
			c.add(path, "undeclared", "%q is not among the properties", name)
		case !scalar(schema):
			c.add(path, "scalar", "the values of %q are not said to be plain: give it a type of string, number, integer or boolean", name)
		case slices.Contains(n.Searched[:i], name):
			c.add(path, "unique", "%q stands there twice", name)
		}
	}
}

// scalar says whether a JSON Schema in normal form lets through plain values
// only, by its type or by what it enumerates.
func scalar(schema any) bool {
	object, _ := schema.(map[string]any)
	if values, ok := object["enum"].([]any); ok {
		return !slices.ContainsFunc(values, composed)
	}
	if value, ok := object["const"]; ok {
		return !composed(value)
	}
	types, ok := object["type"].([]any)
	if !ok {
		types = []any{object["type"]}
	}
	return !slices.ContainsFunc(types, func(t any) bool {
		return t != "string" && t != "number" && t != "integer" && t != "boolean" && t != "null"
	})
}

func composed(value any) bool {
	switch value.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}
