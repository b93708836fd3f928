// Package trust decides which bytes to believe.
//
// It is The Update Framework (TUF, specification 1.0.31), nothing invented: a
// publisher signs small JSON documents, the metadata, and a client that starts
// from one embedded document, the root, believes exactly what they say. Objects
// and packs are believed through the length and digest that a signed document
// names. So storage, mirrors, CDNs and USB sticks need no trust.
//
// # Files
//
// A repository keeps, beside what it distributes:
//
//	metadata/N.root.json       which keys sign which role; N = 1, 2, 3 … is its version
//	metadata/timestamp.json    version, length and SHA-256 of the newest snapshot
//	metadata/N.snapshot.json   the same for targets and every product
//	metadata/N.targets.json    the products: their keys, and the paths they may sign
//	metadata/N.<product>.json  one product: length, SHA-256 and facts of its files
//
// Only timestamp.json ever changes; all others are written once. A product may
// sign manifests/<product>/*/* and indexes/<product>/*/*, where "*" stops at a
// slash. Such a file F is stored as <folder>/<its SHA-256>.<base>.
//
// # Keys
//
// The recovery key signs the root, and nothing else: put it away. The release
// key signs everything that changes from day to day. More keys, thresholds and
// keys of single products need only a new version of the root or of targets.
// Keys are ed25519 or, because key services rarely offer that, ECDSA P-256.
// Others are passed over: they neither count nor spoil what other keys sign.
//
// # What a client checks, in this order
//
//  1. The time is the latest of the clock, the build time of the program and the
//     time of the last complete refresh, so a clock set back revives nothing. A
//     refresh that fails does not move that time, so a clock that was once
//     wrong by decades does no harm after it has been set right.
//  2. The embedded root; from there the roots in the cache, which are no anchor:
//     each must be signed by the one before it and by itself and be its version
//     plus one; from there the roots of the repository, until there is no next
//     one. Whoever hides new roots cannot bring back a revoked key. The last
//     root must not have expired.
//  3. timestamp.json: signed, no lower version than the cached one (unless a new
//     root took the keys away from that), not expired.
//  4. The snapshot: length, digest and version of the timestamp; signed; nothing
//     in it lower or missing that the cached one has; not expired.
//  5. targets, then a product: length, digest and version of the snapshot; signed
//     by the keys its delegator names; not expired; no path outside the
//     delegation.
//
// Root and timestamp are the only bytes that are parsed before their digest is
// known. What is parsed has no null, no name twice or in another case, no number
// but whole ones below 2^53, at most 32 levels, and is bounded in size:
// timestamp 16 KiB, root 512 KiB, snapshot 2 MiB, targets and products 16 MiB.
//
// A refresh succeeds whole or leaves the client as it was. Each file enters the
// cache when it has passed all checks, not before, and is checked again when it
// is read back.
//
// # Repositories of others
//
// With Options.Foreign a client also takes what the specification allows and an
// [Editor] never writes: metadata listed without length and digest, SHA-512, RSA
// keys of 2048 bits and more, names of any form, delegations at any depth (32
// roles a search), hash bins, and repositories without consistent snapshots. The
// workflow is the same one, so what is shown of it with such repositories, by the
// conformance suite of TUF above all, holds for ours. Only [Client.Find] knows
// its way around there.
//
// # Limits
//
// A cache that is lost or deleted takes the protection against replay with it,
// down to the embedded root and the build time. Length and digest are optional
// in TUF and required here. A product cannot delegate further.
package trust
