package aead_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// fencedRoom returns a function that gives slices of n bytes, up to size, which
// end right before memory that cannot be touched or start right behind such.
func fencedRoom(t *testing.T, size int) func(n int, end bool) []byte {
	first, last := fenced(t, size, true), fenced(t, size, false)
	return func(n int, end bool) []byte {
		if end {
			return last[size-n:]
		}
		return first[:n:n]
	}
}

// TestGCMStaysInside puts every slice of a call between pages that fault, once
// at each end. A byte read or written outside ends the test program.
func TestGCMStaysInside(t *testing.T) {
	_, bytesOf := random(t)
	lengths := []int{1499, 1500, 4095, 4096}
	for n := range 600 {
		lengths = append(lengths, n)
	}
	dstAt, inAt, aadAt, nonceAt := fencedRoom(t, 8192), fencedRoom(t, 8192), fencedRoom(t, 4096), fencedRoom(t, 12)
	for _, bits := range []int{128, 256} {
		key := bytesOf(bits / 8)
		std := standardGCM(t, key)
		for _, impl := range gcmImplementations(t, key) {
			t.Run(fmt.Sprintf("%s/%d", impl.name, bits), func(t *testing.T) {
				for i, n := range lengths {
					for _, end := range []bool{false, true} {
						nonce, aad := nonceAt(aead.NonceSize, end), aadAt(i%400, end)
						copy(nonce, bytesOf(12))
						plain := inAt(n, end)
						dst := dstAt(n+aead.TagSize, end)
						want := std.Seal(nil, nonce, plain, aad)
						if !impl.Seal(dst, nonce, plain, aad) || !bytes.Equal(dst, want) {
							t.Fatalf("seal of %d bytes, at the end: %v", n, end)
						}
						sealed, opened := inAt(n+aead.TagSize, end), dstAt(n, end)
						copy(sealed, want)
						clear(opened)
						if !impl.Open(opened, nonce, sealed, aad) {
							t.Fatalf("open of %d bytes, at the end: %v", n, end)
						}
						sealed[0] ^= 1
						if impl.Open(opened, nonce, sealed, aad) {
							t.Fatalf("spoiled %d bytes open", n)
						}
						clear(sealed)
					}
				}
			})
		}
	}
}
