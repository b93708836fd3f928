// Package delta makes and applies deltas: packs, which turn old blobs into new
// ones; BSDIFF40 patches, for other programs; and stored objects, which are
// full contents, compressed.
//
// # Packs
//
// A pack holds what is needed to make a set of new blobs out of a set of old
// ones. A blob is the content of a file; names are not stored. Diffing sees
// all old blobs at once, so that renamed, merged and divided files cost little.
//
//	8   "tgpack1\n"
//	4   size of the head, from the magic on, little-endian
//	    uvarint  number of old blobs; for each: uvarint size, 32 digest
//	    uvarint  number of frames; for each:
//	      1        kind: 1 full, 2 native, 3 bsdiff40
//	      uvarint  stored size, 32 digest of the stored bytes
//	      uvarint  number of runs of old blobs; for each: uvarint how many old
//	               blobs are passed over since the last run, uvarint how many are read
//	      uvarint  number of new blobs; for each: uvarint size, 32 digest
//	…   stored bytes of the first frame, of the second, …
//
// Digests are BLAKE3-256, numbers take their shortest form, and nothing stands
// behind the last frame. Whoever trusts the digest of the head can trust every
// byte of the pack, and what is made of it: stored bytes are compared with
// their digest before they are looked into, new blobs before they are called
// good. Frames are independent. They can be fetched by range and patched in
// parallel; a lost one costs only its own new blobs. Each new blob is made once,
// however often it appears in a tree.
//
// A full frame is a zstd stream of its new blobs, one behind the other, with a
// window of at most 8 MiB. A bsdiff40 frame is a BSDIFF40 patch of its one old
// blob. A native frame sees its old blobs, and its new ones, as one row of
// bytes each. It is made of covers: so many new bytes are like old bytes from
// a position on. What is left over are extra bytes, which no cover explains,
// and residuals: new byte minus the byte predicted from old. A native frame is
//
//	uvarint  bytes of the header that follows
//	header   uvarint  number of sections; for each:
//	           uvarint  new bytes
//	           uvarint  covers
//	           uvarint  coding: 1 mixed residuals, 2 mixed extra bytes, 4 x86-64 prediction
//	           uvarint  log2 of the slots of the largest table, if the coding is not 0
//	           uvarint  which columns there are: bit i for column i
//	           for each of these: uvarint raw size, uvarint stored size
//	columns  0 skip, 1 length, 2 jump of all sections
//	columns  3 zeros, 4 run, 5 value, 6 mixed, 7 extra of all sections
//
// A column is zstd, or as it is when both sizes are the same. For each cover,
// skip holds the new bytes since the last one, length its own, and jump the
// old position less the end of the last cover (zigzag). With coding 0, zeros
// and run say in turn how many residuals are zero and how many are not, value
// has these, and extra the extra bytes, in order. Otherwise mixed is a stream
// of bits, coded as residual.go, extra.go and mix.go describe; references in
// x86-64 code may first be predicted, as predict.go does.
//
// # Limits
//
// WritePack needs as much memory as its options allow, 2 GiB by default. Old
// content of up to a quarter of this is matched as a whole; of more, each
// section of new sees the part that has most in common with it. Head.Patch
// needs at most 64 MiB for blobs of any size. A head is at most 64 MiB, unless
// the reader wants otherwise; a blob 1 TiB. BSDIFF40 patches are made of files
// up to 256 MiB, wholly in memory.
//
// What a pack says about sizes bounds all that is read, made and allocated,
// so a reader that trusts nobody needs only [Limits]. Same blobs and options,
// same bytes: on every machine, with any number of workers.
package delta
