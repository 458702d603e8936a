package resolvers

import (
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
)

// usualList is how many objects a list without paging is taken to have: groups,
// links, relations and policies of one thing.
const usualList = 5

// facetCost is what counting the values of a field costs.
const facetCost = 20

// complexity says what fields cost beyond what is selected below them: a page
// costs by its size, a list by the usual number, a bulk read by its limit.
func complexity() generated.ComplexityRoot {
	var root generated.ComplexityRoot

	q := &root.Query
	q.Groups = func(child int, _, _ *string, _ []string, _ *string, _ []*registry.OrderBy, first *int, _ *string, last *int, _ *string, _ *time.Time) int {
		return page(child, first, last)
	}
	q.Devices = func(child int, references []string, _, _ *string, _ *registry.State, _ *string, _ []*registry.OrderBy, first *int, _ *string, last *int, _ *string, _ *time.Time) int {
		return page(child, keyed(references, first, last), last)
	}
	q.Assets = q.Devices
	q.Policies = func(child int, _ *string, first *int, _ *string, last *int, _ *string, _ *time.Time) int {
		return page(child, first, last)
	}
	q.Templates = func(child int, _ *registry.Kind, _ *registry.TemplateStatus, first *int, _ *string, last *int, _ *string, _ *time.Time) int {
		return page(child, first, last)
	}
	q.Profiles = func(child int, _ *registry.Kind, _ *string, first *int, _ *string, last *int, _ *string, _ *time.Time) int {
		return page(child, first, last)
	}
	q.MeasureTypes = func(child int, first *int, _ *string, last *int, _ *string) int { return page(child, first, last) }
	q.DeadLetters = func(child int, _ *registry.DeadLetterReason, _, _, _ *string, _, _ *time.Time, first *int, _ *string, last *int, _ *string) int {
		return page(child, first, last)
	}
	q.DeadLetterCounts = func(child int, _, _, _ *string, _, _ *time.Time) int { return list(child) }
	root.ReplayDeadLettersPayload.StillRefused = list
	q.Changes = func(child int, _ []registry.ObjectKind, _ *registry.ID, _ *string, _ *registry.ID, _ *string, _ *registry.ChangeOperation, _, _ *time.Time, _ registry.SortDirection, first *int, _ *string, last *int, _ *string) int {
		return page(child, first, last)
	}
	q.Search = func(child int, _ []registry.Kind, _, _ *string, _, _ bool, _ []string, _ *string, _ []*registry.OrderBy, first *int, _ *string, last *int, _ *string, _ *time.Time) int {
		return page(child, first, last)
	}
	root.SearchConnection.Facets = func(child int, _ string, _ []*registry.FloatRange, first int) int {
		// Counting reads everything that is found, however few values are returned.
		return facetCost + max(first, 0)*child/10
	}
	q.InheritedPolicies = func(child int, _ []string, _ *string, _ *time.Time) int { return list(child) }
	q.Nodes = func(child int, ids []registry.ID, _ *time.Time) int { return 1 + len(ids)*max(child, 1) }

	m := &root.Mutation
	m.UpsertDevices = func(child int, in generated.UpsertDevicesInput) int {
		return bulkCost(child, len(in.Devices), in.Rehearse)
	}
	m.UpsertAssets = func(child int, in generated.UpsertAssetsInput) int {
		return bulkCost(child, len(in.Assets), in.Rehearse)
	}
	m.CreateGroups = func(child int, in generated.CreateGroupsInput) int {
		return bulkCost(child, len(in.Groups), in.Rehearse)
	}
	m.CreateDevices = func(child int, in generated.CreateDevicesInput) int {
		return bulkCost(child, len(in.Devices), in.Rehearse)
	}
	m.CreateAssets = func(child int, in generated.CreateAssetsInput) int {
		return bulkCost(child, len(in.Assets), in.Rehearse)
	}
	m.UpdateDevices = func(child int, in generated.UpdateDevicesInput) int {
		return bulkCost(child, len(in.Devices), in.Rehearse)
	}
	m.UpdateAssets = func(child int, in generated.UpdateAssetsInput) int {
		return bulkCost(child, len(in.Assets), in.Rehearse)
	}

	m.UpdateGroups = func(child int, in generated.UpdateGroupsInput) int {
		return bulkCost(child, len(in.Groups), in.Rehearse)
	}
	m.DeleteGroups = func(child int, in generated.DeleteGroupsInput) int {
		return bulkCost(child, len(in.Ids)+len(in.Paths), in.Rehearse)
	}
	m.DeleteDevices = func(child int, in generated.DeleteDevicesInput) int {
		return bulkCost(child, len(in.Ids)+len(in.References), in.Rehearse)
	}
	m.DeleteAssets = func(child int, in generated.DeleteAssetsInput) int {
		return bulkCost(child, len(in.Ids)+len(in.References), in.Rehearse)
	}
	root.BulkPayload.Results, root.BulkPayload.Rehearsal = bulkResults, bulkRehearsal

	g := &root.Group
	g.Children = func(child int, _ *string, _ []*registry.OrderBy, first *int, _ *string, last *int, _ *string) int {
		return page(child, first, last)
	}
	g.Members = func(child int, _ *registry.Kind, _ *string, _ bool, _ *string, _ *registry.State, _ *string, _ []*registry.OrderBy, first *int, _ *string, last *int, _ *string) int {
		return page(child, first, last)
	}
	g.Ancestors = list
	g.Relations, g.Related = relationCost, relatedCost
	g.Policies, g.Aggregate = argumentList, groupAggregateCost

	d := &root.Device
	d.Relations, d.Groups, d.Policies = relationCost, argumentList, argumentList
	d.Links, d.Related, d.Components = linkCost, relatedCost, list
	d.Live, d.Series = liveCost, list
	d.Measurements, d.Samples, d.Aggregate = measurementCost, sampleCost, aggregateCost

	a := &root.Asset
	a.Relations, a.Groups, a.Policies = relationCost, argumentList, argumentList
	a.Links, a.Related, a.Parts = linkCost, relatedCost, list
	a.Live, a.Series = liveCost, list
	a.Measurements, a.Samples, a.Aggregate = measurementCost, sampleCost, aggregateCost

	d.Alarms, a.Alarms = alarmCost, alarmCost
	d.Commands = func(child int, _ *registry.CommandState, first *int, _ *string, last *int, _ *string) int {
		return page(child, first, last)
	}
	d.Payloads = func(child int, _, _ *time.Time, first *int, _ *string, last *int, _ *string) int {
		return page(child, first, last)
	}
	root.Payload.Content, root.Payload.Text = contentCost, contentCost
	root.ReprocessPayload.Failures = list
	q.Alarms = func(child int, _ *bool, _ *registry.AlarmSeverity, _, _ *string, _, _ *time.Time, first *int, _ *string, last *int, _ *string) int {
		return page(child, first, last)
	}
	root.Template.Commands, root.Template.Alarms = list, list
	d.StateHistory, a.StateHistory = stateCost, stateCost

	root.Link.Unmapped = list
	root.Policy.AppliesTo = list
	root.Rehearsal.Effects = func(child int, first *int, _ *string) int { return page(child, first, nil) }
	root.RehearsedEffect.Gained, root.RehearsedEffect.Lost = list, list
	root.Template.Versions = list
	root.Template.SearchIndexes = list
	g.Changes, d.Changes, a.Changes = changeCost, changeCost, changeCost
	root.Policy.Changes, root.Template.Changes, root.Profile.Changes = changeCost, changeCost, changeCost
	root.Change.Differences = list
	root.TemplateRehearsal.Failures = func(child int, first *int, _ *string) int { return page(child, first, nil) }
	root.TemplateMisfit.Violations, root.ProfileMisfit.Violations = list, list
	root.TemplateRehearsal.Profiles, root.PublishTemplatePayload.Profiles = list, list
	return root
}

func page(child int, first, last *int) int {
	return gqlhttp.PageCost(child, first, last, registry.DefaultPage)
}

func list(child int) int { return 1 + usualList*max(child, 1) }

// contentCost is that of up to 256 KiB.
func contentCost(int) int { return 20 }

func alarmCost(child int, _ *bool) int { return list(child) }

func argumentList(child int, _ *string) int { return list(child) }

func relationCost(child int, _ *string, _ *registry.Direction, _ *registry.Kind, _ *string) int {
	return list(child)
}

func relatedCost(child int, _ *string, _ *registry.Direction, _ *registry.Kind, _ *string, _ *registry.State, _ *string, _ []*registry.OrderBy, first *int, _ *string, last *int, _ *string) int {
	return page(child, first, last)
}

func changeCost(child int, _ *registry.ChangeOperation, _, _ *time.Time, _ registry.SortDirection, first *int, _ *string, last *int, _ *string) int {
	return page(child, first, last)
}

func linkCost(child int, _ bool) int { return list(child) }

func liveCost(child int, _ []string, _ *string) int { return list(child) }

func measurementCost(child int, _ string, _, _ *time.Time, first *int, _ *string, last *int, _, _ *string) int {
	return page(child, first, last)
}

func stateCost(child int, _, _ *time.Time, _ []registry.StateCause, first *int, _ *string, last *int, _ *string) int {
	return page(child, first, last)
}

// sampleCost is low for what is returned: two lists are read and written as
// such, without an object for each measurement.
func sampleCost(child int, _ string, _, _ time.Time, limit int, _ *string) int {
	return child + limit/100
}

func groupAggregateCost(child int, _ string, from, to time.Time, every *time.Duration, calendar *registry.CalendarUnit, _ *string, _ registry.AggregateFunction, _ float64, _ bool, _ *registry.Kind, _ *string) int {
	return 100 + aggregateCost(child, "", from, to, every, calendar, nil, "", 0, false, nil)
}

// aggregateCost is that of the points, which the store bounds as well.
func aggregateCost(child int, _ string, from, to time.Time, every *time.Duration, _ *registry.CalendarUnit, _ *string, _ registry.AggregateFunction, _ float64, _ bool, _ *string) int {
	length := 24 * time.Hour
	if every != nil {
		length = *every
	}
	points := 1
	if length > 0 && to.After(from) {
		points = int(min(to.Sub(from)/length+1, registry.MaxIntervals))
	}
	return 1 + points*max(child, 1)/10
}
