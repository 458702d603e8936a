package registry

import (
	"regexp"
	"time"
)

// Account is a tenant: every object belongs to exactly one.
type Account struct {
	ID ID
	// Name is unique and part of MQTT topics.
	Name      string
	CreatedAt time.Time
}

// IsNode marks an account as a GraphQL Node.
func (*Account) IsNode() {}

// NodeID is the account's id.
func (a *Account) NodeID() ID { return a.ID }

var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckAccountName refuses a name that cannot stand in a topic or a path.
func CheckAccountName(name string) error {
	if !accountName.MatchString(name) {
		return InvalidField("name", "pattern", "an account's name is 1 to 63 lower-case letters, digits and dashes, not %q", name)
	}
	return nil
}

// Scope says whose objects a call is about and who makes it. Every store
// method takes one.
type Scope struct {
	Account ID
	// AccountName stands in topics and messages.
	AccountName string
	// Actor is the id of the key that the call was made with, ActorName its name.
	Actor     ID
	ActorName string
	// Request is the id of the request that the call belongs to; empty if it has
	// none.
	Request string
	// AsOf is the moment that reading methods look back to; nil is now. Those that
	// cannot look back say so.
	AsOf *time.Time
	// Token is that of a rehearsal: a change that was rehearsed is only made if it
	// still does what the rehearsal said. Empty promises nothing.
	Token string
	// Rehearsal, if it is not nil, is told what a change would do, which is then
	// not made. Changes that cannot be rehearsed by trying refuse it.
	Rehearsal *Rehearsal
}

// APIKey is a credential of an account. Its secret is shown once and stored
// only as a hash.
type APIKey struct {
	ID        ID
	AccountID ID
	Name      string
	// DeviceIDs binds the key: if there are any, the key can only send
	// readings, and only of these devices.
	DeviceIDs []ID
	CreatedAt time.Time
}

// Principal is who makes a request.
type Principal struct {
	Scope
	Key APIKey
}

// Bound says whether the principal may only send readings of certain devices.
func (p Principal) Bound() bool { return len(p.Key.DeviceIDs) > 0 }

// MaySend says whether the principal may send readings of a device.
func (p Principal) MaySend(device ID) bool {
	if !p.Bound() {
		return true
	}
	for _, id := range p.Key.DeviceIDs {
		if id == device {
			return true
		}
	}
	return false
}
