package manifest

import "testing"

func TestTreeFactsAreValid(t *testing.T) {
	m := Manifest{Release: TreeFacts()}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
}
