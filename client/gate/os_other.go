//go:build !unix

package gate

const nonBlocking = 0
