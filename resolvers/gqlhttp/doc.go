// Package gqlhttp turns an executable gqlgen schema into a GraphQL server that
// is right and safe: GraphQL over HTTP (GET and POST) and graphql-transport-ws
// over WebSockets, every request authenticated and bounded before any of its
// fields runs, every error presented without the cause. It knows nothing about
// the nouns of a schema and may import gqlgen, the WebSocket library, zerolog
// and the package registry.
//
// # The way of a request
//
// Server.ServeHTTP decides what needs no GraphQL: origin, method, media types,
// key. One of two transports, our own because gqlgen's leave the status codes,
// close codes and message order of the two specifications half done, reads the
// parameters and hands them to gqlgen's executor. There the extensions run in
// this order: persisted queries, limits of the document before it is validated,
// validation, complexity, timeout, cost.
//
// # Cross-site requests
//
// A key is only ever taken from the Authorization header or from the payload of
// connection_init, never from a cookie, so a browser has nothing to add by
// itself to a request that another site makes. Moreover POST takes
// application/json alone, which no form can send, GET runs queries alone, and a
// WebSocket from a foreign origin is refused. Config.AllowedOrigins opens the
// server to front ends of other origins.
//
// # Error codes
//
// Errors carry extensions.code, a plain string: those of registry.Code, and for
// documents GRAPHQL_PARSE_FAILED and GRAPHQL_VALIDATION_FAILED, the names that
// GraphQL tools know, and PERSISTED_QUERY_NOT_FOUND. A document that meets a
// limit is LIMIT_EXCEEDED, a request that is no GraphQL request is INVALID.
//
// # Status codes
//
// A request that is refused before its fields run is 400 for a client that asks
// for application/graphql-response+json and 200 for one that asks for
// application/json, as GraphQL over HTTP wants it; without data either way.
// What ran is 200. A body that is no GraphQL request is 400 for both.
package gqlhttp
