//go:build !unix

package measure

func maxRSS(any) int64 { return 0 }
func ownRSS() int64    { return 0 }
