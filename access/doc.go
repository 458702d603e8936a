// Package access makes API keys and finds out who sends one.
//
// A key is shown once; only its SHA-256 hash is stored. The package imports
// registry only: what it looks keys up in is an interface.
package access
