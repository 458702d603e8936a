// Package unit knows units of measure by their UCUM codes (the Unified Code for
// Units of Measure, ucum.org): whether a code is one, which units can be turned
// into each other, and how. Codes are case-sensitive, as in UCUM's c/s form.
//
// It knows the units of engineering, buildings, energy, weather and trade
// rather than all of UCUM's: see atoms.go. It differs from UCUM in three ways.
// What people commonly write is taken for the code that they mean (Alias).
// Units on a logarithmic scale, such as dB, can be turned into their own
// multiples only. And bits are not plain numbers.
//
// The package imports the standard library only.
package unit
