// Package atomicfs changes one file tree whole or not at all.
package atomicfs
