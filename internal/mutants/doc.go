// Package mutants holds no code, only a test that breaks the workflow of package
// trust in one place after the other, and wants other tests to notice each time.
//
// The ordinary run only makes sure that each mutant still fits the source. With
//
//	TREEGRAFT_MUTANTS=1 go test -v -timeout 60m ./internal/mutants/
//
// each of them is built and tested, which takes some seconds a mutant. Nothing in
// the checkout is changed: the go command gets the broken file as an overlay.
package mutants
