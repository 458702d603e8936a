package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var (
	templateHeld = named("template.held", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account AND t:Template
		RETURN properties(t) AS node`)

	templatePublish = named("template.publish", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		SET t.status = 'PUBLISHED', t.publishedAt = $now, t.revision = $revision`)

	// All versions of a template, with how many objects each has.
	templateHolders = named("template.holders", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.kind = $kind AND t.nameFold = $nameFold AND t.version > 0
		RETURN properties(t) AS node, COUNT { (t)<-[:INSTANCE_OF]-() } AS objects, COUNT {
			MATCH (p:Profile)
			WHERE p.account = $account AND p.kind = $kind AND p.templateFold = $nameFold AND p.keyFold IS NOT NULL
		} AS profiles
		ORDER BY t.version DESC`)
)

func missingTemplate(ref registry.TemplateRef) error {
	if ref.ID != "" {
		return registry.NotFound("template", string(ref.ID))
	}
	return registry.NotFound("template", ref.Name)
}

// newestTemplate is the newest version of a template, draft or published; nil
// if there is none. An id may be that of any version.
func (s *Store) newestTemplate(ctx context.Context, tx *transaction, ref registry.TemplateRef) (*registry.Template, error) {
	if ref.ID != "" {
		t, _, err := one(ctx, tx, templateHeld, params{"id": string(ref.ID)}, s.templateIn(tx.scope))
		if err != nil || t == nil {
			return nil, err
		}
		ref.Kind, ref.Name = t.Kind, t.Name
	}
	t, _, err := one(ctx, tx, templateNewest, params{"kind": string(ref.Kind), "nameFold": Fold(ref.Name), "statuses": statuses(nil)}, s.templateIn(tx.scope))
	return t, err
}

// toPublish is the version that a reference names: by id any, by name the
// draft.
func (s *Store) toPublish(ctx context.Context, r runner, scope registry.Scope, ref registry.TemplateRef) (*compiledTemplate, error) {
	draft := registry.TemplateDraft
	q, p := templateHeld, params{"id": string(ref.ID)}
	missing := missingTemplate(ref)
	if ref.ID == "" {
		q, p = templateNewest, params{"kind": string(ref.Kind), "nameFold": Fold(ref.Name), "statuses": statuses(&draft)}
		missing = registry.NotFound("draft of template", ref.Name)
	}
	t, ok, err := one(ctx, r, q, p, func(f fields) *compiledTemplate { return s.template(f.nested("node"), scope.Account) })
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, missing
	}
	return t, atRevision(t.Template, ref)
}

// PublishTemplate makes a draft the version that new objects get; from then on
// it never changes. Objects of earlier versions stay with theirs. One that is
// published stays as it is. With the token of a rehearsal it is refused if it
// would break other objects or profiles than it said. Profiles that break the
// version are returned: they cannot be applied until they are changed.
func (s *Store) PublishTemplate(ctx context.Context, scope registry.Scope, ref registry.TemplateRef, token string) (published *registry.Template, broken []*registry.ProfileMisfit, err error) {
	committed := func() {}
	err = change(ctx, s, scope, "template.publish", func(ctx context.Context, tx *transaction) error {
		before, err := s.toPublish(ctx, tx, scope, ref)
		if err != nil {
			return err
		}
		published = before.Template
		if before.Status == registry.TemplatePublished {
			broken = nil
			return nil
		}
		if err := s.asRehearsed(ctx, tx, token, before); err != nil {
			return err
		}
		// What it names may have been deleted since it was written.
		if _, _, err := s.prepareTemplate(ctx, tx, registry.TemplatePatch{}.Apply(published)); err != nil {
			return err
		}
		if committed, err = s.claimTemplate(ctx, tx, published); err != nil {
			return err
		}
		if broken, err = s.misfitProfiles(ctx, tx, scope, before); err != nil {
			return err
		}
		after, at := *published, tx.at
		after.Status, after.PublishedAt, after.Revision = registry.TemplatePublished, &at, before.Revision+1
		published = &after
		tx.recordTemplate(registry.ChangeUpdate, "published", before.Template, published)
		return nothing(ctx, tx, templatePublish, params{"id": string(after.ID), "now": at, "revision": after.Revision})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("publish template: %w", err)
	}
	committed()
	return published, broken, nil
}

// several counts things in words.
func several(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// holder is one version of a template and what depends on it.
type holder struct {
	template *registry.Template
	objects  int
	profiles int
}

// namedOrNewest is the version that a reference names by its id, and else the
// newest one.
func namedOrNewest(versions []holder, ref registry.TemplateRef, newest *registry.Template) *registry.Template {
	for _, v := range versions {
		if v.template.ID == ref.ID {
			return v.template
		}
	}
	return newest
}

// DeleteTemplate deletes a version of a template, or all its versions if it is
// named by kind and name, and returns the ids, newest version first. What
// objects are instances of, profiles are for, or other templates name, stays.
func (s *Store) DeleteTemplate(ctx context.Context, scope registry.Scope, ref registry.TemplateRef) ([]registry.ID, error) {
	var deleted []registry.ID
	err := change(ctx, s, scope, "template.delete", func(ctx context.Context, tx *transaction) error {
		deleted = nil
		newest, err := s.newestTemplate(ctx, tx, ref)
		switch {
		case err != nil:
			return err
		case newest == nil:
			return missingTemplate(ref)
		case newest.Open:
			return registry.FailedPrecondition("template %q is built in", newest.Name)
		}
		versions, err := all(ctx, tx, templateHolders, params{"kind": string(newest.Kind), "nameFold": Fold(newest.Name)}, func(f fields) holder {
			return holder{s.templateIn(scope)(f), f.integer("objects"), f.integer("profiles")}
		})
		if err != nil {
			return err
		}
		if err := atRevision(namedOrNewest(versions, ref, newest), ref); err != nil {
			return err
		}
		kept := 0
		for _, v := range versions {
			switch {
			case ref.ID != "" && v.template.ID != ref.ID:
				if v.template.Status == registry.TemplatePublished {
					kept++
				}
				continue
			case v.objects > 0:
				return registry.FailedPrecondition("template %q version %d is in use by %s", v.template.Name, v.template.Version, several(v.objects, "object"))
			}
			deleted = append(deleted, v.template.ID)
			tx.recordTemplate(registry.ChangeDelete, "deleted", v.template, nil)
		}
		if profiles := versions[0].profiles; profiles > 0 && kept == 0 {
			return registry.FailedPrecondition("template %q is in use by %s", newest.Name, several(profiles, "profile"))
		}
		if kept == 0 {
			if err := unnamed(ctx, tx, newest); err != nil {
				return err
			}
		}
		return tx.bury(ctx, deleted...)
	})
	if err != nil {
		return nil, fmt.Errorf("delete template: %w", err)
	}
	for _, id := range deleted {
		s.templates.forget(id)
	}
	return deleted, nil
}
