package atomicfs

import (
	"fmt"
	"strconv"
	"strings"
)

// Names in the state folder. The package comment draws them. See also twinFile.
const (
	lockFile     = StateDir + "/lock"
	holderFile   = StateDir + "/lock.json"
	journalNew   = StateDir + "/journal.new"
	journalFile  = StateDir + "/journal"
	journalUndo  = StateDir + "/journal.undo"
	stagingDir   = StateDir + "/staging"
	stagedFiles  = stagingDir + "/new"
	stagedDirs   = stagingDir + "/dir"
	stagingOld   = stagingDir + "/old"
	snapshotsDir = StateDir + "/snapshots"
)

func snapshotDir(seq uint64) string     { return fmt.Sprintf("%s/%d", snapshotsDir, seq) }
func snapshotOld(seq uint64) string     { return snapshotDir(seq) + "/old" }
func snapshotJournal(seq uint64) string { return snapshotDir(seq) + "/journal" }

// slotName names file n of a folder of numbered files.
func slotName(dir string, n uint32) string { return dir + "/" + strconv.FormatUint(uint64(n), 10) }

// parseSeq reads the name of a snapshot's folder, in its one form.
func parseSeq(name string) (uint64, bool) {
	seq, err := strconv.ParseUint(name, 10, 63)
	return seq, err == nil && seq > 0 && !strings.HasPrefix(name, "0")
}

// folders returns where the change finds its new content and puts its backups.
// A rollback takes its content from the snapshot; its backups serve only to
// take the rollback itself back, and end with it.
func (j *journal) folders() (from, backup string) {
	if j.rollback {
		return snapshotOld(j.seq), stagingOld
	}
	return stagedFiles, snapshotOld(j.seq)
}
