package aead

import "unsafe"

// overlaps reports whether a and b share a byte.
func overlaps(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	a0, b0 := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return a0 < b0+uintptr(len(b)) && b0 < a0+uintptr(len(a))
}

// checkOverlap panics when out may not be written while in and aad are read:
// what Op forbids. The portable implementations
// check for themselves.
func checkOverlap(out, in, aad []byte) {
	if overlaps(out, in) && &out[0] != &in[0] {
		panic("aead: Dst and In overlap and do not start together")
	}
	if overlaps(out, aad) {
		panic("aead: Dst and AAD overlap")
	}
}
