package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// makePath makes a group and all above it.
func makePath(t *testing.T, c apiClient, path string, made map[string]bool) {
	t.Helper()
	parent := "/"
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		full := strings.TrimSuffix(parent, "/") + "/" + name
		if !made[full] {
			made[full] = true
			ask[any](t, c, `mutation($p: String!, $n: String!) { createGroup(input: {parent: $p, name: $n}) { group { id } } }`, map[string]any{"p": parent, "n": name})
		}
		parent = full
	}
}

type workedDevice struct {
	reference string
	groups    []string
	want      []string
}

// TestWorkedExamples holds inheritance to the examples that it is explained by.
func TestWorkedExamples(t *testing.T) {
	t.Parallel()
	const denver, beijing = "/location/usa/colorado/denver", "/location/china/northern/beijing"
	both := []string{"policy_restrictive", "policy_permissive"}
	permissive := []string{"policy_permissive"}
	for name, example := range map[string]struct {
		policies map[string][]string
		devices  []workedDevice
	}{
		"one hierarchy": {
			policies: map[string][]string{"policy_permissive": {"/location"}, "policy_restrictive": {"/location/china"}},
			devices: []workedDevice{
				{"device001", []string{denver + "/factory1"}, permissive},
				{"device002", []string{beijing + "/factory2"}, both},
			},
		},
		"two hierarchies": {
			policies: map[string][]string{"policy_permissive": {"/location", "/supplier"}, "policy_restrictive": {"/location/china", "/supplier/supplier2"}},
			devices: []workedDevice{
				{"device001", []string{denver, "/supplier/supplier1"}, permissive},
				{"device002", []string{denver, "/supplier/supplier2"}, permissive},
				{"device003", []string{beijing, "/supplier/supplier1"}, permissive},
				{"device004", []string{beijing, "/supplier/supplier2"}, both},
			},
		},
		"names that begin alike, a diamond, nested groups, the root": {
			policies: map[string][]string{
				"one": {"/site/1"}, "ten": {"/site/10"}, "nested": {"/site", "/site/1"}, "everything": {"/"}, "two": {"/site/1/a", "/site/1/b"},
			},
			devices: []workedDevice{
				{"in-10", []string{"/site/10"}, []string{"ten", "everything"}},
				{"in-1", []string{"/site/1"}, []string{"nested", "one", "everything"}},
				{"diamond", []string{"/site/1/a", "/site/1/b"}, []string{"two", "nested", "one", "everything"}},
				{"nowhere", nil, []string{"everything"}},
			},
		},
		"four hierarchies": {
			policies: map[string][]string{"all": {"/a/x", "/b", "/c", "/d"}, "three": {"/a/x", "/b", "/c"}},
			devices: []workedDevice{
				{"all-four", []string{"/a/x", "/b", "/c", "/d"}, []string{"all", "three"}},
				{"one-short", []string{"/a/x", "/b", "/c"}, []string{"three"}},
				{"beside", []string{"/a/y", "/b", "/c", "/d"}, []string{}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := newAccount(t)
			made := map[string]bool{"/": true}
			for reference, groups := range example.policies {
				for _, path := range groups {
					if path != "/" {
						makePath(t, client, path, made)
					}
				}
				ask[any](t, client, `mutation($r: String!, $g: [String!]!) { createPolicy(input: {reference: $r, type: "t", document: {a: 1}, appliesTo: $g}) { policy { id } } }`,
					map[string]any{"r": reference, "g": groups})
			}
			for _, device := range example.devices {
				relations := []map[string]any{}
				for i, path := range device.groups {
					makePath(t, client, path, made)
					relations = append(relations, map[string]any{"name": fmt.Sprintf("member_%d", i), "groups": []string{path}})
				}
				ask[any](t, client, `mutation($r: String!, $l: [RelationsInput!]) { createDevice(input: {reference: $r, relations: $l}) { device { id } } }`,
					map[string]any{"r": device.reference, "l": relations})
				checkInherited(t, client, device, example.policies)
			}
		})
	}
}

// checkInherited asks in every way which policies a device inherits.
func checkInherited(t *testing.T, client apiClient, device workedDevice, policies map[string][]string) {
	t.Helper()
	type policy struct{ Reference string }
	found := ask[struct {
		Device struct {
			Policies         []policy
			PolicyReferences []string
		}
		InheritedPolicies []policy
	}](t, client, `query($r: String!, $g: [String!]!) {
		device(reference: $r) { policies { reference } policyReferences }
		inheritedPolicies(groups: $g) { reference }
	}`, map[string]any{"r": device.reference, "g": append([]string{}, device.groups...)})
	references := func(all []policy) []string {
		out := make([]string, len(all))
		for i, p := range all {
			out[i] = p.Reference
		}
		return out
	}
	for way, got := range map[string][]string{
		"policies": references(found.Device.Policies), "policyReferences": found.Device.PolicyReferences, "inheritedPolicies": references(found.InheritedPolicies),
	} {
		if !slices.Equal(got, device.want) {
			t.Errorf("%s of %s: %v, want %v", way, device.reference, got, device.want)
		}
	}
	for reference, groups := range policies {
		why := ask[struct {
			Device struct{ PolicyExplanation demoExplanation }
		}](t, client, `query($r: String!, $p: String!) { device(reference: $r) { policyExplanation(policy: $p) { inherited groups { group { path } reached relation via { path } } } } }`,
			map[string]any{"r": device.reference, "p": reference}).Device.PolicyExplanation
		reached := 0
		for _, g := range why.Groups {
			if g.Reached {
				reached++
			}
		}
		inherits := slices.Contains(device.want, reference)
		if why.Inherited != inherits || len(why.Groups) != len(groups) || (reached == len(groups)) != inherits {
			t.Errorf("explanation of %s for %s: inherited %t, %d of %d groups reached, want inherited %t", reference, device.reference, why.Inherited, reached, len(why.Groups), inherits)
		}
	}
}
