package client

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// systemVersion returns the version of Windows, such as 10.0.19045.
func systemVersion() string {
	v := windows.RtlGetVersion()
	return fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber)
}

// mainMemory asks GlobalMemoryStatusEx.
func mainMemory() int64 {
	var m struct {
		length, load                                            uint32
		total, avail, totalPage, availPage, totalV, availV, ext uint64
	}
	m.length = uint32(unsafe.Sizeof(m))
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, _ := call.Call(uintptr(unsafe.Pointer(&m))); ok == 0 {
		return 0
	}
	return int64(m.total)
}

// freeSpace returns the bytes that are free for us.
func freeSpace(dir string) int64 {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(name, &free, nil, nil) != nil {
		return 0
	}
	return int64(free)
}
