package graph

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// token is what a rehearsal leaves with the caller: what was rehearsed, where
// the account's journal stood, and a digest of the effect. The real call goes on
// if nothing was written since, or if the effect is still the same.
type token struct {
	Operation string `json:"o"`
	Position  int64  `json:"p"`
	Digest    string `json:"d"`
}

// operationOf is what a token is bound to: an operation of an account, with what
// it was given.
func operationOf(scope registry.Scope, name string, given any) string {
	return name + " " + digest(string(scope.Account), given)
}

// digest is the same for what is the same as JSON.
func digest(parts ...any) string {
	hash := sha256.New()
	for _, part := range parts {
		text, err := json.Marshal(part)
		if err != nil {
			text = fmt.Appendf(nil, "%v", part)
		}
		hash.Write(text)
		hash.Write([]byte{'\n'})
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func (t token) String() string {
	text, _ := json.Marshal(t) // three plain fields
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseToken reads the token of an operation.
func parseToken(text, operation string) (token, error) {
	var t token
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err != nil || t.Operation != operation {
		return t, registry.InvalidField("token", "format", "is not the token of a rehearsal of this very call")
	}
	return t, nil
}

// otherwise is the error for an effect that is not the one that was rehearsed.
func otherwise() error {
	return registry.Conflict("token", "what this would do has changed since it was rehearsed: rehearse it again")
}
