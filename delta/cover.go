package delta

// cover says that n bytes of new, from position new, are like the n bytes of
// old from position old. Covers are in order of new and do not overlap there.
type cover struct{ old, new, n int }
