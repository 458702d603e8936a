// Package testschema is a small schema that has one field for each thing that
// a GraphQL server can get wrong. It is there for the tests of gqlhttp.
package testschema

//go:generate go run github.com/99designs/gqlgen generate --config gqlgen.yml
