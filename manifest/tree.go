package manifest

// TreeFacts returns the facts of a tree that is no release: what a delta
// between two folders says of both of them.
func TreeFacts() Release {
	return Release{Product: "tree", Version: "0.0.0-0", Sequence: 1, Platform: AnyPlatform}
}
