// Package lifecycle holds the rules of an install's life, and nothing else: in
// which states a tree can be and what leads from one to another, what a release
// requires of its host, which migrations bring data to a release and back, and
// what an administrator's policy allows.
//
// # Invariants
//
// Everything here is pure. Facts of the host, the time and the recorded state
// are passed in; no function reads a file, asks a clock or runs a command. So
// package client, which does, can be tested against tables.
//
// A state is left only along [Transitions], and every state has a way out. The
// picture in docs/LIFECYCLE.md is made from the same table.
//
// # Words
//
// A run is one update, restore, rollback or setup under way. A hop is a run's
// step from the installed release to the next. Data is what migrations change;
// its version is an integer, recorded outside the tree, because it does not go
// back with the files.
package lifecycle
