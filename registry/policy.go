package registry

// Policy is a document that applies where all of its groups apply.
type Policy struct {
	Object
	// Reference is the user's own key, unique in the account.
	Reference   string
	Type        string
	Description *string
	// Document is any JSON object.
	Document map[string]any
	// GroupIDs are the groups that the policy applies to; at least one.
	GroupIDs []ID
}

// IsNode marks a policy as a GraphQL Node.
func (*Policy) IsNode() {}

// NewPolicy is what a policy is made from.
type NewPolicy struct {
	Reference   string
	Type        string
	Description *string
	Document    map[string]any
	// AppliesTo lists paths of groups.
	AppliesTo []string
}

// PolicyPatch changes a policy.
type PolicyPatch struct {
	Type        *string
	Description Optional[string]
	Document    Optional[map[string]any]
	// AppliesTo replaces the groups, if it is not nil.
	AppliesTo []string
	// IfVersion refuses the change with CONFLICT when the version differs.
	IfVersion *int
}

// PolicyExplanation says why a thing inherits a policy, or why it does not.
type PolicyExplanation struct {
	PolicyID ID
	// Inherited is true if every group was reached.
	Inherited bool
	// Groups has one entry for each group of the policy, in the order of their
	// paths.
	Groups []PolicyReach
}

// PolicyReach says how a group that a policy applies to was reached.
type PolicyReach struct {
	GroupID ID
	// Reached is false if no way leads from the thing to the group.
	Reached bool
	// Relation is the relation by which the thing is a member of the first
	// group of Via; empty where the thing is that group itself, or where the
	// group is the root, which everything is below.
	Relation string
	// Via leads from the group that the thing is a member of up to this group,
	// both included; empty if it was not reached or the group is the root and
	// the thing has no membership.
	Via []ID
}

// RelationName is the relation of membership, nil where there is none.
func (r PolicyReach) RelationName() *string {
	if r.Relation == "" {
		return nil
	}
	return &r.Relation
}
