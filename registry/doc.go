// Package registry holds the nouns of a digital-twin registry and their rules:
// accounts, groups, devices, assets, templates, relations, policies, links,
// readings and measurements. Every other room speaks in these types.
//
// It does no I/O and imports the standard library only.
package registry
