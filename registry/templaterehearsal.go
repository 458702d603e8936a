package registry

// MaxMisfits bounds the objects that a rehearsal lists; it counts all.
const MaxMisfits = 10_000

// TemplateRehearsal tells which objects would break a version of a template.
type TemplateRehearsal struct {
	// Token can be given to the real call, which is then refused if its effect is
	// not the one that was rehearsed.
	Token string
	// Objects were looked at, Failing of them break the version.
	Objects, Failing int
	// Misfits are the first of them, by key.
	Misfits []TemplateMisfit
	// Profiles are the first of the template's profiles that break the version, by
	// key: they are for the newest published version.
	Profiles []*ProfileMisfit
}

// TemplateMisfit is an object that breaks a version of a template, and where.
type TemplateMisfit struct {
	Object     Related
	Violations []Violation
}

// MaxProfileMisfits bounds the profiles that are listed for breaking a version.
const MaxProfileMisfits = 1000

// ProfileMisfit is a profile that breaks a version of its template, and where.
type ProfileMisfit struct {
	Profile    *Profile
	Violations []Violation
}

// Migration moves objects to a version of their own template.
type Migration struct {
	Kind     Kind
	Template string
	// Version is the newest published one if nil.
	Version *int
	// IDs and References (of groups: paths) name objects; All takes every object
	// of the template that has another version.
	IDs        []ID
	References []string
	All        bool
	// SkipFailing leaves out what would break the version; otherwise nothing is
	// moved if anything would.
	SkipFailing bool
	// Token is that of a rehearsal, or empty.
	Token string
}

// MaxMigrated bounds the objects that a migration names.
const MaxMigrated = 10_000

// Check tells what is wrong with a migration.
func (m Migration) Check() error {
	n := len(m.IDs) + len(m.References)
	switch {
	case m.All == (n > 0):
		return InvalidField("all", "exclusive", "give ids or references, or all: true")
	case n > MaxMigrated:
		return LimitExceeded("name at most %d objects at once, not %d", MaxMigrated, n)
	}
	return nil
}
