package registry

import "time"

// Subscriber is what is remembered of a client that wants to be told of changes
// while it is away: which, and up to where it has been told.
type Subscriber struct {
	// Client names it within its account.
	Client  string
	Filters []SubscriberFilter
	// Position is that of the last change that it needs not be told of any more.
	Position int64
	// Until is when it is forgotten, if it does not come back.
	Until time.Time
}

// SubscriberFilter is one wish of a subscriber.
type SubscriberFilter struct {
	// Filter is one of topics, with wildcards.
	Filter string `json:"filter"`
	// From is the position of the last change before the wish.
	From int64 `json:"from"`
	// Acknowledged says whether what is told has to be acknowledged.
	Acknowledged bool `json:"acknowledged"`
}

// SubscriberMove is how far a subscriber has been told.
type SubscriberMove struct {
	Client   string
	Position int64
	Until    time.Time
}

// Backlog is an account with changes that were not published yet.
type Backlog struct {
	Scope Scope
	// Published is the position of the last change that was, Last that of the last
	// change.
	Published, Last int64
}
