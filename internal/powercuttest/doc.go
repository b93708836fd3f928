// Package powercuttest shows what a disk may hold after the power failed: a test
// helper for programs that promise to survive that.
//
// A [Disk] is a file of our own FUSE server behind a loop device. It carries a
// real file system, records every block that is written and every flush, and
// can fail writes. [Disk.Cuts] then builds what the disk may hold if the power
// fails at a moment: all that was written before the last flush, and of what
// was written since, a random half, page by page. [Image.Mount] mounts such a
// state like any disk after a restart.
//
// What it does not show: disks that lie about flushing, sectors torn in
// themselves, and bits that rot.
//
// It needs Linux, root, FUSE, loop devices, and the mkfs of each file system;
// [Need] skips the test where one is missing.
package powercuttest
