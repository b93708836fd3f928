//go:build !race

package atomicfs

// racing says that everything takes several times as long.
const racing = false
