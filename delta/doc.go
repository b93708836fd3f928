// Package delta makes and applies deltas: packs that turn old blobs into new
// ones, BSDIFF40 patches, and compressed objects.
package delta
