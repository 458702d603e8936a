package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// A secret is the prefix, which lets scanners of source code find leaked keys,
// and 256 random bits in 43 characters.
const (
	prefix       = "hk_"
	secretLength = len(prefix) + 43
)

// NewSecret makes the secret of a new API key: 256 bits from the system's
// source of randomness.
func NewSecret() string {
	var raw [32]byte
	rand.Read(raw[:]) // never fails: it ends the process instead
	return prefix + base64.RawURLEncoding.EncodeToString(raw[:])
}

// Hash is what is stored of a secret: its SHA-256 in hexadecimal. The secret
// has 256 random bits, so that no salt and no slow hash is needed.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// wellFormed says whether a text can be a secret at all.
func wellFormed(secret string) bool {
	return len(secret) == secretLength && strings.HasPrefix(secret, prefix)
}
