// Package layers holds the rule of who may import whom, as a test over the
// import lines of the whole module. It has no code to import.
//
// The rule is the drawing in layers_test.go. A line "a b < c d" means that c
// and d stand on a and b: both may import a and b, and all that a and b stand
// on. Nothing else may be imported, neither packages of this module nor
// libraries; the standard library is free. So what a package can link is what
// is drawn below it. A name that ends in "/..." stands for all packages of a
// folder.
//
// Files that end in _test.go are free. So are test helpers, which are the
// packages whose name ends in "test"; only tests and other test helpers may
// import those.
//
// Invariant: the drawing is complete and true. A package that is missing from
// it, and a name in it that nothing uses, are faults too.
package layers
