package ingest

import "encoding/hex"

// packUUID turns the text form of a UUID into 16 bytes. It says no to whatever
// unpackUUID would not give back exactly, upper case for one.
func packUUID(s string) (raw [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return raw, false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		if s[i] == '-' {
			i++
		}
		high, low := nibble(s[i]), nibble(s[i+1])
		if high > 15 || low > 15 {
			return raw, false
		}
		raw[at] = high<<4 | low
		at++
	}
	return raw, true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xFF
}

// unpackUUID writes 16 bytes as the text form of a UUID.
func unpackUUID(text *[36]byte, raw []byte) {
	hex.Encode(text[0:8], raw[0:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:36], raw[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
}
