//go:build !unix

package client

// notFolder is a case of fs.ErrNotExist here.
func notFolder(error) bool { return false }
