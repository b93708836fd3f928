package store

import "context"

// Download brings a file to a local path, and returns when it is there with
// the wanted size and digest. A file that is there already is left as it is.
//
// The bytes arrive in a partial file beside path, with a name that holds the
// digest and ends in .unverified. It stays when Download fails or is
// cancelled, and the next call for the same content goes on from its end.
// Content that proves wrong is removed, and gives a *MismatchError.
//
// Progress, which may be nil, is told how many bytes of the file are here.
// The number falls when the file has to be read from its start again.
// Two calls for the same path at the same time are not allowed.
func Download(ctx context.Context, f Fetcher, name, path string, want Content, progress func(n int64)) error {
	return errTODO
}
