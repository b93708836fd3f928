// Package container turns files that are compressed inside into a form that
// deltas can look into, and back, bit by bit: gzip (.gz, .tgz), zip (.zip,
// .jar, .whl, .apk, .nupkg, .vsix, .xpi, .docx) and PNG.
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
// Numbers are uvarints, unless they have a width. A form is the magic
// "tgunpk1\n", records, and the record 0 at the very end:
//
//	0  end
//	1  plain: number of bytes, bytes
//	2  deflate stream (RFC 1951): segments, then 0, then one byte whose lowest
//	   bits fill the stream's last byte
//	3  what a container says behind the last stream, made again:
//	     1  kind: 0 gzip's CRC-32 and size; 1 zlib's Adler-32; 2 a zip data
//	        descriptor; 3 one without its signature
//	4  local header of a zip member: number of bytes, bytes
//	5  entry of a zip directory: the number of the member it is about, less
//	   that after the last one (zigzag); number of bytes; bytes, of which
//	   CRC-32, both sizes and the position are less what is known of the member
//	6  end of a zip directory: number of bytes; bytes, of which size and
//	   position of the directory are less than the real ones by what is known
//	7  from here on, bytes are cut into IDAT chunks: number of runs of chunks
//	   of one size; for each how many, and the size
//	8  the last of these chunks is full
//
// A segment is one or more whole blocks of a stream:
//
//	number of bytes up to the content's size; not 0
//	1  matcher; plus 128 if it begins anew, with the 32 KiB before indexed
//	for each block:
//	  1  bit 0: final block; bits 1–2: 0 stored, 1 fixed, 2 dynamic;
//	     bits 3–4: code lengths 0 kept, 1 as zlib makes them, 2 as Go does;
//	     bit 5: its tokens reach to the end of the segment
//	  number of tokens, or of bytes if it is stored; missing if bit 5 is set
//	     and it is not stored
//	  code lengths, if they are kept: the bits of RFC 1951 §3.2.7, from HLIT
//	     on, padded with zeros to whole bytes
//	  corrections, if it is not stored: how many there are; for each:
//	     number of tokens predicted right since the last one
//	     2  distance, little-endian; 0 is a literal
//	     1  length less 3, if it is no literal
//	number of bytes of content
//	content
//
// The matcher is a place in the table of predict.go: 0 predicts literals only,
// so that all matches are listed; then come zlib's levels 6, 9, 8, 7, 5, 4, 3,
// 2, 1; the same with the hash of Chromium's zlib; Go's 6, 9, 8, 7, 5, 4, 3, 2;
// zlib's 6 and 9 for filtered data. Predictions and code lengths are part of
// the form: a change of what they compute needs a new magic.
//
// # Invariants
//
// What [Unpack] has written without an error, [Repack] turns into the file: it
// was tried. Same file, same form. Neither trusts what it reads: there is an
// error or a file, no panic, and no more memory than the limits allow.
//
// # Limits
//
// A segment ends with the block that brings its content to 1 MiB. A block that
// has more than 2²⁰ tokens or 9 MiB of content, that breaks RFC 1951, or whose
// bits no encoder writes (a length of 258 as 227+31), ends what is unpacked of
// its stream; the rest of it is plain. So are members of a zip file that are
// stored or encrypted, or whose sizes take 64 bits, and IDAT chunks with a wrong
// checksum. Containers are known by their first bytes; there is no looking
// into containers in containers. Compressors that search for the cheapest row
// of matches (zopfli, 7-Zip, libdeflate's slow levels) are predicted badly:
// their tokens take about as much as the compressed stream did.
//
// Unpack needs up to about 64 MiB, Repack about 32: that is for blocks as large
// as allowed; 16 and 8 are usual. What Repack writes is bounded by w alone: a
// short form can stand for a file that is a hundred times as long.
package container
