// Package manifest says what a release contains.
package manifest
