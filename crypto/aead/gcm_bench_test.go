package aead_test

import (
	"fmt"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// BenchmarkGCM runs both implementations on messages with the AAD of a MACsec
// frame. An op is one message.
func BenchmarkGCM(b *testing.B) {
	for _, n := range []int{64, 128, 576, 1500, 8900} {
		for _, bits := range []int{128, 256} {
			for _, impl := range gcmImplementations(b, make([]byte, bits/8)) {
				nonce, aad := make([]byte, aead.NonceSize), make([]byte, 28)
				plain, sealed := make([]byte, n), make([]byte, n+aead.TagSize)
				b.Run(fmt.Sprintf("%s/%d/%d/seal", impl.name, n, bits), func(b *testing.B) {
					b.SetBytes(int64(n))
					b.ReportAllocs()
					for b.Loop() {
						impl.Seal(sealed, nonce, plain, aad)
					}
				})
				impl.Seal(sealed, nonce, plain, aad)
				b.Run(fmt.Sprintf("%s/%d/%d/open", impl.name, n, bits), func(b *testing.B) {
					b.SetBytes(int64(n))
					b.ReportAllocs()
					for b.Loop() {
						if !impl.Open(plain, nonce, sealed, aad) {
							b.Fatal("does not open")
						}
					}
				})
			}
		}
	}
}
