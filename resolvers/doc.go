// Package resolvers answers GraphQL: one resolver file a noun, each resolver a
// few lines that call the graph, the live state or the request's loaders.
//
// It may import registry, graph, twin, its own sub-packages and gqlgen. What
// makes the server itself safe is in gqlhttp; the page is in graphiql.
package resolvers
