// Package e2e tests both commands from end to end, as scripts under
// testdata/script and as attacks on whole repositories.
//
// The scripts of both commands are in one place because hardly any of them can
// do without the other: what one publishes the other installs. The commands are
// built by the Go that runs the tests and then run as processes of their own,
// so flags, environment, signals and exit codes are the real ones.
//
// Beside the commands that come with testscript, scripts have:
//
//	exits CODE PROGRAM ARG...   runs a program and wants this exit code
//	flip FILE OFFSET            flips one bit; a negative offset counts from the
//	                            end; FILE may be a pattern that fits one file
//	treecmp A B [WITHOUT...]    compares two trees: kinds, modes, contents, links;
//	                            the updater's folder is left out, and so is WITHOUT
//	serve DIR                   serves a folder over HTTP; its URL is then in $URL
//	smallfs DIR SIZE [INODES]   mounts an empty file system, if [mounts] says it can
//	bind FILE [ro]              makes a file or folder a mount point, likewise
//	unmount FILE                undoes one of these before the end of the script
//	protect i|a FILE            sets the immutable or append-only flag, if [protects]
//	                            says it can; with "!" takes it away
//	exec nobody PROGRAM ARG...  runs a program as an ordinary user, if [nobody] says
//	                            it can
//	served N                    wants exactly N requests since the last "served"
//	jsonlines TYPE CODE         wants stdout to be JSON objects, and the last one
//	                            to have this type and code
//	lock DIR, unlock            holds the lock of an install tree
//
// They run in a folder of their own with MKRELEASE_PASSPHRASE set.
package e2e
