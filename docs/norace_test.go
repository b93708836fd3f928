//go:build !race

package docs

const racing = false
