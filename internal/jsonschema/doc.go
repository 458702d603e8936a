// Package jsonschema checks attributes against the JSON Schemas (2020-12) of a
// template's properties, and those schemas themselves.
//
// Nothing is ever fetched: a $ref leads to a place in the same property's
// schema. Patterns are Go's regular expressions (RE2), which take linear time.
package jsonschema
