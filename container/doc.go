// Package container turns files that are compressed inside into a form that
// deltas can look into, and back, bit by bit: gzip (.gz, .tgz), zip (.zip,
// .jar, .whl, .apk, .nupkg, .vsix, .xpi, .docx), PNG, and programs (ELF, PE,
// Mach-O) whose debug sections are compressed, as Go's linker does.
//
// Compressed bytes hide what two releases have in common: one byte of content
// changes all that follows. The unpacked form has the content instead, in long
// runs, and beside it what the compressor chose. No compressor has to be at
// hand when the file is made again. Most of its choices are predicted, the way
// zlib and its kin search for matches; only what is predicted wrong is kept.
// A wrong prediction costs bytes, never correctness.
//
// # The unpacked form
//
// docs/FORMAT.md has its bytes. In short: plain bytes; deflate streams, cut into
// segments of about 1 MiB, each with its blocks, its tokens as corrections of a
// matcher's predictions, and its content; checksums that are computed again;
// the headers of zip members and of their directory, less what is known of the
// members, so that an edit of one does not change what is said of the others;
// sizes of IDAT chunks; which pages of a signed program its digests are of. A
// section of a program is in one piece, so that who knows its format can read it
// in the form.
//
// The form of a file is a part of the format, not only what forms mean: where a
// delta is applied, the old file is unpacked again, and must have the same form
// as where the delta was made. So what this package predicts, the order in which
// it tries matchers and where it ends segments never change under one magic.
// frozen_test.go holds that fast.
//
// # Invariants
//
// What [Unpack] has written without an error, [Repack] turns into the file: it
// was tried. Same file, same form. Neither trusts what it reads: there is an
// error or a file, no panic, and no more memory than the limits allow.
//
// # Limits
//
// A block that has more than 2²⁰ tokens or about 9 MiB of content, that breaks
// RFC 1951, or whose bits no encoder writes (a length of 258 as 227+31), ends
// what is unpacked of its stream; the rest of it is plain. So are members of a
// zip file that are stored or encrypted, or whose sizes take 64 bits, IDAT
// chunks with a wrong checksum, and sections of ELF files that are compressed by
// zstd or stand in big-endian files, and of Mach-O files of 32 bits. Containers
// are known by their first bytes; there is no looking into containers in
// containers. Compressors that search for the
// cheapest row of matches (zopfli, 7-Zip, libdeflate's slow levels) are
// predicted badly: their tokens take about as much as the compressed stream did.
//
// Unpack needs up to about 64 MiB, Repack about 32: that is for blocks as large
// as allowed; 16 and 8 are usual. What Repack writes is bounded by w alone: a
// short form can stand for a file that is a hundred times as long.
//
// # Sources
//
// Deflate, zlib and gzip are RFC 1951, 1950 and 1952; zip is PKWARE's
// APPNOTE.TXT; PNG is the W3C's specification, whose IDAT chunks are in 11.2.3;
// compressed sections are in the System V ABI; in PE and Mach-O, Go's linker and
// binutils write them as binutils once did in ELF. The tables of sections are in
// Microsoft's PE format and Apple's mach-o/loader.h and fat.h.
// Matchers are those of zlib's deflate.c, of its copy in Chromium, and of Go's
// compress/flate; code lengths those of zlib's trees.c and, in Go, package merge
// (Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman
// codes", 1990). To keep only what a compressor's choices differ in from a
// prediction is the idea of Dirk Steinke's preflate.
package container
