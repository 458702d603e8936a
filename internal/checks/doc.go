// Package checks holds the tests of the project itself: that the Compose file
// is valid and runs, that documents lead to where they say, that the API is
// described, and that generated code stays what it was meant to be.
package checks
