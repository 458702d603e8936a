// Package decode turns what devices send in formats of their own into readings:
// a template says which decoder, and with which options. It has no I/O and may
// import registry and unit only.
//
// A decoder finds frames in a payload, and in each frame a value for each
// measure that its options map. What a value is turned by (scale, offset, unit,
// names for values) is the same for all of them. A decoder is given the same
// payload again when measurements are worked out anew, so it depends on nothing
// but the payload.
package decode
