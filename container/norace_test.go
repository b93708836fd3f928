//go:build !race

package container

const racing = false
