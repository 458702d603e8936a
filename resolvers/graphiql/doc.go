// Package graphiql serves GraphiQL, the in-browser editor for GraphQL, from
// files that are part of the program: a page that nothing of another host
// belongs to, with a place for the API key and a list of example queries. It
// imports the standard library only.
//
// An example is a file in examples/, shown in the order of the names:
//
//	# title: The devices of a site
//	# variables: {"path": "/site"}
//	query Devices($path: String!) {
//	  ...
//	}
package graphiql
