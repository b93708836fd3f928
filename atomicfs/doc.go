// Package atomicfs changes one tree of files all-or-nothing, in place.
//
// A [Tree] is a folder, locked from [Open] to [Tree.Close]. A [Stage] collects
// the new files; [Stage.Commit] makes a list of [Change] visible, whole or not
// at all; [Tree.Rollback] takes the last one back from its snapshot. Open
// finishes or takes back what an earlier process left half done, so call it at
// every start: when there is nothing to do it costs microseconds.
//
//	t, err := atomicfs.Open(root, atomicfs.Options{})
//	defer t.Close()
//	s, err := t.Stage("1.4.0")
//	defer s.Discard()
//	f, err := s.Create("bin/app", node) // for every new content
//	io.Copy(f, content)
//	err = f.Commit()
//	res, err := s.Commit(ctx, changes, atomicfs.CommitOptions{})
//
// # Promises
//
//  1. After a kill or a power cut, the next Open yields exactly the old or
//     exactly the new managed tree, state records ([MetaDir]) included.
//  2. A change that was reported as made survives a power cut.
//  3. An error means the old tree, with two exceptions that say so:
//     [ErrNeedsRecovery] (either tree; the next Open decides) and
//     [ErrNotDurable] (the new tree, but its last sync failed).
//  4. No byte gets a managed name unless its digest was checked: new content
//     when it is staged, old content before a rollback.
//  5. Nothing outside the root changes, and no unmanaged file does. What is in
//     the way of a change is [Drift]: it stops the change, or is kept beside
//     as NAME.kept.
//  6. A second process fails at once with a [LockedError] that says who holds
//     the lock. A lock ends with its process; none is ever stale. Only who
//     changes nothing can do without, see [Options].
//  7. A rollback needs nothing but the snapshot, and no space beyond folder
//     entries.
//  8. A full disk is found before the first visible change.
//
// # Limits
//
// Disks that lie about flushing, and bit rot, are not survived. In place means
// one entry after the other: for the milliseconds that takes, whoever opens
// files by path may see some of both releases. Network file systems must have
// real locks and syncs. Mount points inside the managed tree are refused. On
// btrfs folder entries take room too: with less left than [Tree.Preflight] wants,
// a change may find the disk full half-way, and is then taken back. After
// a failed sync only a restart of the system shows what the disk holds.
// On Linux openat2(2) keeps every change below the root, away from symlinks and
// on the root's own mount, even while somebody swaps folders for symlinks.
// Elsewhere os.Root does: no path leads out of the root, but within it such a
// race can move our work to another of its folders. Extended attributes of a
// replaced file are given to the new one on Linux only; times are not set. On
// Windows the only permission is the read-only attribute.
//
// # The state folder
//
//	.treegraft/              mode 0700
//	  lock                   the file that is locked
//	  lock.json              who holds it, for others to read
//	  journal                a change that is decided and goes forward
//	  journal.undo           a change that is decided and goes back
//	  journal.new            a journal being written
//	  staging/new/N          new content, numbered
//	  staging/dir/N          new folders, empty
//	  staging/old/N          what a rollback replaces, until it is done
//	  snapshots/S/old/N      what commit S replaced
//	  snapshots/S/journal    what commit S did; without it S is litter, and so
//	                         it is with a journal of kind 2 or 3
//	  meta/...               state records, changed with the tree
//	  twin                   a twin is being made, or was: the strategy, the
//	                         twin and the tree, a line each
//	  ...                    the caller's own, see [Tree.StatePath]
//
// # Protocol
//
// Up to step 4 all that is made lies in the state folder, and any error wipes
// it.
//
//  1. Survey: every path that changes is looked at, old files are hashed;
//     drift and obstacles are reported in full.
//  2. Prepare: new files get owner, mode and attributes. Old files get a second
//     name by a hard link (where there are none, the redo moves them). New
//     folders and symlinks are made in the staging, so that what follows takes
//     no space but folder entries.
//  3. Seal: all of it is made durable, by one syncfs or by syncing up to 16
//     files one by one. A sync that fails is never tried again: the second
//     would succeed with the data lost.
//  4. Record: the journal is written, synced and renamed to its name, and the
//     state folder synced. This decides for the new tree.
//  5. Redo, in the order of the function plan. Each step finds out whether it
//     was done before by the identity of numbered files, never by asking
//     whether a path exists. After a power cut btrfs may show a file that was
//     renamed under both names: then the one before goes.
//  6. Sync the folders that changed; rename the journal into the snapshot, and
//     sync again. The change is made.
//
// A crash after step 4 makes the next Open continue at step 5. An error there
// turns the change round: the journal is renamed to journal.undo, durably, and
// the same steps are undone backwards. A rollback is a commit of the opposite
// changes whose new content is the snapshot's, with the same journal and
// recovery; at its end its own journal takes the place of the snapshot's, which
// thereby is used up. A final commit (NoSnapshot, kind 3 in the journal) goes
// the same way, backups included, since it may have to be undone; at its end
// they are litter.
//
// # Strategies
//
// [InPlace] is all of the above. [Exchange] and [Versioned] make the change in a
// twin: a second tree beside the first, with the same files by hard links, the
// unmanaged ones and the state folder included. There the protocol above runs,
// unseen; all of it is synced at once; then one step puts the twin in the tree's
// place, and that step is the commit. A crash before it leaves the old tree, one
// after it the new, and what is left of the other goes with the next Open, which
// knows it by the file "twin" in both state folders. What other programs did in
// the tree meanwhile is brought over, before that step and once more after it.
//
//	exchange     the tree ROOT and the twin .ROOT.treegraft change places;
//	             the old tree is removed
//	versioned    ROOT is a symlink to versions/V, and then to versions/W, beside
//	             it; the version before stays for programs that run from it, older
//	             ones are removed. A folder ROOT becomes such a symlink at its
//	             first change.
//
// They cost a link for each file of the tree and a folder for each folder. A
// program that keeps a folder of the tree open, or works in it, finds itself in
// the old tree, which under exchange is then emptied. Files written in place
// belong to both trees. What a program makes in the few milliseconds between the
// step and the look after it appears late, and is lost if the power fails then.
// Where links cannot be had, the tree holds mount points or is one, the folder
// above may not be written to, or the system cannot exchange folders, the change
// is made in place and [Result] says why. On Windows the switch of versions takes
// two steps; the next Open with Versioned puts the symlink back that a crash
// between them leaves missing.
//
// # The journal
//
// Numbers are big-endian. A string is its length in two bytes and its bytes.
//
//	 8  "tgtree\x01\n"
//	 8  length of the payload, at most 512 MiB with this header
//	32  BLAKE3-256 of the payload
//	    payload:
//	 1    1: commit   2: rollback   3: commit that leaves no snapshot
//	 8    number of the snapshot
//	 8    time, seconds since 1970
//	 s    id, at most 1,024 bytes
//	 4    number of records
//	      records, in strictly rising order of path:
//	 1      1: entry point + 2: old file is moved, not linked + 4: kept
//	 s      path
//	 s      path that what is there is moved to, if kept
//	        old entry, new entry, each:
//	 1        0: nothing   1: file   2: folder   3: symlink
//	 2        mode, of a file or folder
//	 8        size, of a file
//	32        BLAKE3-256 of the content, of a file
//	 s        target, of a symlink
//	 4      number of the old file's backup, or 0
//	 4      number of the new content, or 0 where only the mode changes
//
// Nothing follows the last record, and nothing else is accepted.
package atomicfs
