package transfer

import (
	"maps"
	"regexp"
	"slices"
)

// cdfSchema is the JSON Schema of a property without the patterns that Go's
// regular expressions do not have, such as those that look ahead: they take
// linear time. Each is noted.
func cdfSchema(n names, path string, schema any) any {
	switch schema := schema.(type) {
	case []any:
		out := make([]any, len(schema))
		for i, one := range schema {
			out[i] = cdfSchema(n, path, one)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(schema))
		for _, keyword := range slices.Sorted(maps.Keys(schema)) {
			value := schema[keyword]
			switch keyword {
			case "pattern":
				if pattern, ok := value.(string); ok && foreign(pattern) {
					n.note("%s: pattern %q is left out: it is no regular expression in RE2 syntax", path, pattern)
					continue
				}
			case "patternProperties":
				value = cdfPatterns(n, path, value)
			case "enum", "const", "default", "examples":
				out[keyword] = value
				continue
			}
			out[keyword] = cdfSchema(n, path, value)
		}
		return out
	}
	return schema
}

// cdfPatterns are the schemas of the names that Go's regular expressions can
// match.
func cdfPatterns(n names, path string, schemas any) any {
	byPattern, ok := schemas.(map[string]any)
	if !ok {
		return schemas
	}
	out := make(map[string]any, len(byPattern))
	for _, pattern := range slices.Sorted(maps.Keys(byPattern)) {
		if foreign(pattern) {
			n.note("%s: patternProperties %q is left out: it is no regular expression in RE2 syntax", path, pattern)
			continue
		}
		out[pattern] = byPattern[pattern]
	}
	return out
}

func foreign(pattern string) bool {
	_, err := regexp.Compile(pattern)
	return err != nil
}
