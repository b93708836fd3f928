package client

import (
	"context"
	"errors"
)

// PatchTree makes the folder newDir, which must be empty or missing, out of
// the tree oldDir and a delta file that publisher.DiffTrees wrote. Nothing is
// left behind when it fails. It does not sync: the tree may be lost in a power
// cut shortly after.
func PatchTree(ctx context.Context, oldDir, deltaPath, newDir string) error {
	return errors.New("not yet")
}
