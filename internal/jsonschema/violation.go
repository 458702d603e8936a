package jsonschema

import (
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/holon-registry/holon/registry"
)

var english = message.NewPrinter(language.English)

// maxViolations bounds what one value can be told.
const maxViolations = 50

// leaves turns a validator's tree into violations: the innermost errors, except
// below a choice (anyOf, oneOf, not, contains), where no single branch is to
// blame.
func leaves(path string, value any, tree *jsonschema.ValidationError) []registry.Violation {
	var out []registry.Violation
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(out) >= maxViolations {
			return
		}
		if len(e.Causes) > 0 && !choice(e.ErrorKind) {
			for _, cause := range e.Causes {
				walk(cause)
			}
			return
		}
		found := violations(pointer(path, value, e.InstanceLocation), e.ErrorKind)
		if len(e.Causes) > 0 {
			found[0].Message = branches(e)
		}
		out = append(out, found...)
	}
	walk(tree)
	return out
}

// branches says what a choice had against a value, branch by branch.
func branches(e *jsonschema.ValidationError) string {
	var said []string
	for _, cause := range e.Causes {
		for len(cause.Causes) > 0 {
			cause = cause.Causes[0]
		}
		if text := saidOf(cause.ErrorKind); !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	return "fits none of what is allowed: " + strings.Join(said, "; ")
}

func choice(k jsonschema.ErrorKind) bool {
	switch k.(type) {
	case *kind.AnyOf, *kind.OneOf, *kind.Not, *kind.Contains, *kind.MinContains, *kind.MaxContains:
		return true
	}
	return false
}

func violations(path string, k jsonschema.ErrorKind) []registry.Violation {
	switch k := k.(type) {
	case *kind.Required:
		return each(path, "required", "is required", k.Missing)
	case *kind.AdditionalProperties:
		return each(path, "additionalProperties", "is not declared", k.Properties)
	case *kind.Not:
		return []registry.Violation{{Path: path, Rule: "not", Message: "is excluded by the template"}}
	case *kind.FalseSchema:
		return []registry.Violation{{Path: path, Rule: "false", Message: "no value is allowed"}}
	}
	rule := "schema"
	if keywords := k.KeywordPath(); len(keywords) > 0 {
		rule = keywords[len(keywords)-1]
		if keywords[0] == "dependentRequired" {
			rule = keywords[0]
		}
	}
	return []registry.Violation{{Path: path, Rule: rule, Message: saidOf(k)}}
}

// maxShown is how much of a value is repeated in what is said of it.
const maxShown = 100 // characters

// saidOf is what is wrong, in words. It shows the beginning of a long value.
func saidOf(k jsonschema.ErrorKind) string {
	switch of := k.(type) {
	case *kind.Pattern:
		k = &kind.Pattern{Got: shown(of.Got), Want: of.Want}
	case *kind.Format:
		if got, ok := of.Got.(string); ok && got != shown(got) {
			k = &kind.Format{Got: shown(got), Want: of.Want, Err: errors.New(shown(of.Err.Error()))}
		}
	}
	return strings.TrimSpace(k.LocalizedString(english))
}

func shown(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return text
}

func each(path, rule, message string, names []string) []registry.Violation {
	out := make([]registry.Violation, len(names))
	for i, name := range names {
		out[i] = registry.Violation{Path: path + "." + name, Rule: rule, Message: message}
	}
	return out
}
