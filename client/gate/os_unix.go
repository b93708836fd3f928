//go:build unix

package gate

import "syscall"

const nonBlocking = syscall.O_NONBLOCK | syscall.O_NOFOLLOW
