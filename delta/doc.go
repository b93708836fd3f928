// Package delta makes and applies deltas: packs, which turn old blobs into new
// ones; BSDIFF40 patches, for other programs; and stored objects, which are
// full contents, compressed. docs/FORMAT.md has all bytes, and the arithmetic
// behind them.
//
// # Packs
//
// A pack holds what is needed to make a set of new blobs out of a set of old
// ones. A blob is the content of a file; names are not stored. Diffing sees all
// old blobs at once, so that renamed, merged and divided files cost little.
// Each new blob is made once, however often it appears in a tree.
//
// A pack is a head, which lists old blobs, frames and new blobs with their
// digests, and the frames. Frames can be fetched by range and patched in
// parallel; a lost one costs only its own new blobs. A frame may also read what
// earlier frames make ([Head.Needs]): where old content explains too little,
// programs that are built together share what is new in them.
//
// A full frame is the compressed content. A native frame is made of covers: so
// many new bytes are like old bytes from a position on. What is left over are
// extra bytes, which no cover explains, and residuals: new byte minus the byte
// predicted from old. An unpacked frame is a native one between the unpacked
// forms that package container makes of archives and other compressed files.
//
// # How a native frame is made
//
//   - match.go, fill.go, prune.go: find covers, in hash tables over all old
//     content, and on diagonals beside those that were found;
//   - modules.go, internal/exe: find out where executables keep references;
//     tables are matched again as they are predicted;
//   - seal.go: take out digests that a file holds of its own pages;
//   - predict.go: say from the covers what references become;
//   - addends.go: copy addresses that new bytes hold twice;
//   - residual.go, extra.go on mix.go: code what is left, bit by bit ([Small]);
//     or columns.go: in columns for zstd ([Balanced], which predicts, and
//     [Fast], which does not).
//
// Both sides run the same code for the last four: what one predicts, the other
// predicts, and a wrong guess costs bytes, never correctness.
//
// # Invariants
//
// Whoever trusts the digest of the head can trust every byte of the pack, and
// what is made of it: stored bytes are compared with their digest before they
// are looked into, new blobs before they are called good. Same blobs and
// options, same bytes: on every machine, with any number of workers, unless
// [Options].Time is set. Where a delta saves nothing, a frame has the full content. What the package writes,
// it reads, whatever the files say about themselves.
//
// What a pack says about sizes bounds all that is read, made and allocated, so
// a reader that trusts nobody needs only [Limits]. Hostile bytes give errors,
// no panics.
//
// # Limits
//
// WritePack needs as much memory as its options allow, 2 GiB by default. Old
// content of up to a quarter of this is matched as a whole; of more, each
// section of new sees the part that has most in common with it, and nothing is
// predicted or shared. Head.Patch needs at most 64 MiB for blobs of any size;
// for an unpacked frame 32 MiB more, and temporary files of the size of the old
// form. A head is at most 64 MiB, unless the reader wants otherwise; a blob
// 1 TiB. A section of more than 98,304 covers is coded as in level Fast.
// BSDIFF40 patches are made of files up to 256 MiB, wholly in memory.
//
// # Sources
//
// Covers and residuals are those of Colin Percival's bsdiff ("Naive differences
// of executable code", 2003), found without a suffix array. Predicting
// references from the matches of what they point at is the idea of Zucchini, in
// Chromium. Mixing follows Matt Mahoney's PAQ ("Adaptive weighing of context
// models for lossless data compression", 2005).
package delta
