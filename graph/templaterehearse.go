package graph

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"

	"github.com/holon-registry/holon/registry"
)

// fitReport gathers what a version of a template has against objects.
type fitReport struct {
	registry.TemplateRehearsal
	hash hash.Hash
}

func newFitReport() *fitReport { return &fitReport{hash: sha256.New()} }

// add notes what was found about things, in the order of their keys.
func (r *fitReport) add(things []subject, violations [][]registry.Violation) {
	r.Objects += len(things)
	for i, wrong := range violations {
		if len(wrong) == 0 {
			continue
		}
		r.Failing++
		if len(r.Misfits) < registry.MaxMisfits {
			r.Misfits = append(r.Misfits, registry.TemplateMisfit{Object: things[i].thing, Violations: wrong})
		}
		text, _ := json.Marshal(wrong) // three texts each
		fmt.Fprintln(r.hash, things[i].thing.NodeID(), string(text))
	}
}

// addProfiles notes what was found about profiles.
func (r *fitReport) addProfiles(misfits []*registry.ProfileMisfit) {
	r.Profiles = misfits
	for _, misfit := range misfits {
		text, _ := json.Marshal(misfit.Violations) // three texts each
		fmt.Fprintln(r.hash, misfit.Profile.ID, string(text))
	}
}

// digest stands for all that was found, and for the version itself.
func (r *fitReport) digest(target *registry.Template) digest {
	version, _ := json.Marshal(templateSnapshot(target)) // was read from JSON
	sum := sha256.Sum256(fmt.Appendf(version, " %d %d %x", r.Objects, r.Failing, r.hash.Sum(nil)))
	return digest(sum[:12])
}

// kept refuses what would not do what its rehearsal said.
func (r *fitReport) kept(given token, target *registry.Template) error {
	if given.digest != r.digest(target) {
		return registry.Conflict("token", "this would not do any more what its rehearsal said: rehearse it again")
	}
	return nil
}

// tokenOf reads the token of an operation.
func tokenOf(text string, operation digest) (token, error) {
	t, ok := parseToken(text)
	if !ok || t.binding != operation {
		return t, registry.InvalidField("token", "token", "is not that of a rehearsal of this very call")
	}
	return t, nil
}

// rehearseAll holds every object of a version's template that has another one
// against it, and every profile.
func (s *Store) rehearseAll(ctx context.Context, r runner, scope registry.Scope, target *compiledTemplate) (*fitReport, error) {
	out, fit, key := newFitReport(), s.fittingOf(target, true), ""
	for {
		things, err := subjects(ctx, r, subjectsOfTemplate[target.Kind], params{
			"template": Fold(target.Name), "target": string(target.ID), "key": key, "limit": fitPage,
		})
		if err != nil {
			return nil, err
		}
		violations, err := fit.misfits(ctx, r, scope, things)
		if err != nil {
			return nil, err
		}
		out.add(things, violations)
		if len(things) < fitPage {
			profiles, err := s.misfitProfiles(ctx, r, scope, target)
			out.addProfiles(profiles)
			return out, err
		}
		key = things[len(things)-1].key()
	}
}

// position is where the account's journal stands.
func (s *Store) position(ctx context.Context, scope registry.Scope) (int64, error) {
	n, _, err := one(ctx, s.reading(scope), journalPosition, nil, counted)
	return int64(n), err
}

func publishing(scope registry.Scope, id registry.ID) digest {
	return binding(scope, []string{"publishTemplate", string(id)})
}

// RehearsePublish tells, without publishing a draft, which objects of earlier
// versions, and which profiles, it would break.
func (s *Store) RehearsePublish(ctx context.Context, scope registry.Scope, ref registry.TemplateRef) (*registry.Template, *registry.TemplateRehearsal, error) {
	// The position first: what is written while this reads is then noticed later.
	position, err := s.position(ctx, scope)
	if err != nil {
		return nil, nil, fmt.Errorf("rehearse publishing: %w", err)
	}
	draft, err := s.toPublish(ctx, s.reading(scope), scope, ref)
	if err != nil {
		return nil, nil, fmt.Errorf("rehearse publishing: %w", err)
	}
	found, err := s.rehearseAll(ctx, s.reading(scope), scope, draft)
	if err != nil {
		return nil, nil, fmt.Errorf("rehearse publishing template %s: %w", draft.Name, err)
	}
	found.Token = token{position, publishing(scope, draft.ID), found.digest(draft.Template)}.text()
	return draft.Template, &found.TemplateRehearsal, nil
}

// asRehearsed refuses to publish a draft if that would not do what was
// rehearsed.
func (s *Store) asRehearsed(ctx context.Context, tx *transaction, text string, draft *compiledTemplate) error {
	if text == "" {
		return nil
	}
	given, err := tokenOf(text, publishing(tx.scope, draft.ID))
	if err != nil || given.position == tx.position {
		return err
	}
	found, err := s.rehearseAll(ctx, tx, tx.scope, draft)
	if err != nil {
		return err
	}
	return found.kept(given, draft.Template)
}
