package main

import "github.com/treegraft-dev/treegraft/lifecycle"

// waysOut names the verbs that lead out of a state, or that are of use in it, the
// usual one first.
func waysOut(s lifecycle.State) []string {
	switch s {
	case lifecycle.UpToDate:
		return []string{"check", "restore", "rollback"}
	case lifecycle.Available:
		return []string{"update", "fetch", "plan", "hold"}
	case lifecycle.Held:
		return []string{"unhold"}
	case lifecycle.Blocked:
		return []string{"plan", "update", "hold"}
	case lifecycle.Fetched:
		return []string{"apply", "update", "hold"}
	case lifecycle.AwaitingApproval:
		return []string{"approve", "hold"}
	case lifecycle.Draining, lifecycle.Maintenance, lifecycle.Applying, lifecycle.Migrating:
		return []string{"status --wait", "resume", "abort"}
	case lifecycle.NeedsMigration:
		return []string{"setup", "rollback"}
	case lifecycle.OnProbation:
		return []string{"confirm", "rollback"}
	case lifecycle.Failed:
		return []string{"resume", "abort", "rollback"}
	case lifecycle.RolledBack:
		return []string{"check", "update --to", "hold"}
	case lifecycle.Withdrawn:
		return []string{"update", "rollback"}
	case lifecycle.TooNew:
		return []string{"update --downgrade --to", "hold"}
	}
	return nil
}

// advice says what to do where a doctor's finding is not well, by what it is about.
func advice(what string) string {
	switch what {
	case "installed":
		return "to begin: applyrelease install --repo DIR|URL --root root.json --product P DIR"
	case "lock":
		return "wait until the process named has ended; a lock ends with its process"
	case "run":
		return "applyrelease resume DIR, or applyrelease abort DIR"
	case "data":
		return "applyrelease setup DIR; if it was brought back by hand: setup --data VERSION"
	case "gate":
		return "applyrelease setup DIR opens it if nothing is to be done"
	case "hold":
		return "applyrelease unhold DIR; a policy is the administrator's"
	case "probation":
		return "applyrelease probation DIR goes back"
	case "files":
		return "applyrelease verify DIR lists them; applyrelease repair DIR brings them back"
	case "permissions":
		return "make what is listed writable for who runs updates"
	case "way back":
		return "applyrelease cleanup --keep 0 DIR removes snapshots that cannot be read"
	case "repository":
		return "look whether it can be reached, and ask its publisher whether it is signed anew"
	case "clock":
		return "set the clock: what is signed has a date"
	}
	return "see what it says"
}
