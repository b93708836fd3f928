//go:build !linux

package atomicfs

import "os"

// rootDir is the folder that no name leads out of, as far as the system can
// see to it: symlinks and mounts inside are followed.
type rootDir = os.Root

func openRoot(name string) (*rootDir, error) { return os.OpenRoot(name) }
