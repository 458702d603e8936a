package registry

// Rehearsal is what a change would do to the policies that twins inherit, found
// out without making it.
type Rehearsal struct {
	// Token lets the change be made only if it still does the same.
	Token string
	// Twins counts the twins that would inherit other policies, PoliciesGained and
	// PoliciesLost what they would gain and lose, over all twins.
	Twins, PoliciesGained, PoliciesLost int
	// Groups counts the groups that would be moved or deleted, Relations the
	// relations that would be made or ended.
	Groups, Relations int
	// Made and Deleted count the groups, devices and assets that would be made and
	// deleted, Links the links that would end.
	Made, Deleted, Links int
	// Twin has the effect on each of these twins: devices first, each by
	// reference.
	Twin []RehearsedEffect
}

// RehearsedEffect is what a change would do to a twin.
type RehearsedEffect struct {
	// ObjectID is empty for a twin that would be made.
	ObjectID  ID
	Kind      Kind
	Reference string
	// Key is what effects are ordered by.
	Key string
	// Gained and Lost are most specific first.
	Gained, Lost []*Policy
}

// MaxRehearsed bounds the twins that a rehearsal looks at.
const MaxRehearsed = 200_000

// Page returns a part of the effects.
func (r *Rehearsal) Page(request PageRequest) Page[RehearsedEffect] {
	from := 0
	for from < len(r.Twin) && request.Key != "" && r.Twin[from].Key <= request.Key {
		from++
	}
	to := min(from+request.Size, len(r.Twin))
	return Page[RehearsedEffect]{Items: r.Twin[from:to], HasNext: to < len(r.Twin), HasPrevious: from > 0}
}

// WrongToken refuses a token that no rehearsal of the change has given.
func WrongToken() *Error {
	return InvalidField("token", "token", "is not that of a rehearsal of this change")
}

// StaleToken refuses a change that would do something else by now than its
// rehearsal said.
func StaleToken() *Error {
	return Conflict("token", "the change would not do any more what its rehearsal said: rehearse it again")
}
