package aead_test

import (
	"fmt"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// BenchmarkChaCha compares what NewChaCha20Poly1305 returns, the wide code alone
// and the portable code, in
// place, as WireGuard works: name/size/messages in a batch/direction. One op is
// one message.
func BenchmarkChaCha(b *testing.B) {
	for _, size := range []int{64, 256, 576, 1500, 8900} {
		for _, n := range []int{1, 2, 3, 4, 8, 40} {
			for _, dir := range []string{"seal", "open"} {
				for _, impl := range []string{"chosen", "wide", "portable"} {
					b.Run(fmt.Sprintf("%s/%d/%d/%s", impl, size, n, dir), func(b *testing.B) {
						benchChaCha(b, impl, size, n, dir)
					})
				}
			}
		}
	}
}

func benchChaCha(b *testing.B, impl string, size, n int, dir string) {
	a, err := map[string]func([]byte) (aead.AEAD, error){
		"chosen": aead.NewChaCha20Poly1305, "wide": aead.AlwaysWide, "portable": aead.Portable,
	}[impl](make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	// As UDP_GRO and UDP_SEGMENT have them: datagrams back to back.
	const header = 16
	slot := header + size + aead.TagSize
	buf := make([]byte, n*slot)
	ops := make([]aead.Op, n)
	for i := range ops {
		m := buf[i*slot:][:slot]
		ops[i] = aead.Op{Dst: m[header:], Nonce: m[4:header], In: m[header : header+size]}
	}
	do := a.SealBatch
	if dir == "open" {
		// Opened to another place, so that it can be opened again.
		a.SealBatch(ops)
		out := make([]byte, n*slot)
		for i := range ops {
			ops[i].In, ops[i].Dst = ops[i].Dst, out[i*slot:][:size]
		}
		do = a.OpenBatch
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for i := 0; i < b.N; i += n {
		do(ops)
		if !ops[n-1].OK {
			b.Fatal("not OK")
		}
	}
}
