// Package faultfstest mounts a folder a second time, in a way that fails: a test
// helper. Each operation on the mount is counted and may be answered with an
// errno, before it is done (as by a broken disk) or after it (as by a file
// server whose answer got lost).
//
// It is a FUSE server, so errors come from where the kernel hands them on as
// any file system's: also from calls that a test's own hooks forget. It needs
// Linux, root and FUSE; [New] skips the test where one is missing.
package faultfstest
