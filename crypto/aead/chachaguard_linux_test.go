package aead_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/crypto/aead"
)

// fenced returns n bytes between two pages that nobody may touch: they start
// right behind the first one, or end right before the second.
func fenced(t *testing.T, n int, atStart bool) []byte {
	t.Helper()
	page := unix.Getpagesize()
	room := (n + page) / page * page
	mem, err := unix.Mmap(-1, 0, room+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	for _, edge := range [][]byte{mem[:page], mem[page+room:]} {
		if err := unix.Mprotect(edge, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	if atStart {
		return mem[page:][:n:n]
	}
	return mem[page+room-n:][:n:n]
}

// TestChaChaGuardPages: nothing outside In, AAD, Nonce and Dst is read or
// written. A stray access ends the test program.
func TestChaChaGuardPages(t *testing.T) {
	rng := seeded(t)
	as, judge := chachas(t, rng)
	const count, largest = 9, 1600
	for _, atStart := range []bool{true, false} {
		var in, out, aads, nonces [count][]byte
		for i := range count {
			in[i], out[i] = fenced(t, largest, atStart), fenced(t, largest, atStart)
			aads[i], nonces[i] = fenced(t, 100, atStart), fenced(t, 12, atStart)
		}
		// cut returns n bytes of a fenced place that still touch the fence.
		cut := func(b []byte, n int) []byte {
			if atStart {
				return b[:n:n]
			}
			return b[len(b)-n:]
		}
		for name, a := range as {
			for n := 0; n <= largest-aead.TagSize; n += 1 + rng.IntN(3) {
				ops := make([]aead.Op, 1+rng.IntN(count))
				for i := range ops {
					size := n
					if rng.IntN(4) == 0 {
						size = rng.IntN(n + 1)
					}
					copy(nonces[i], randomBytes(rng, 12))
					ops[i] = aead.Op{Dst: cut(out[i], size+aead.TagSize), Nonce: nonces[i], In: cut(in[i], size), AAD: cut(aads[i], rng.IntN(3)*rng.IntN(33))}
					copy(ops[i].In, randomBytes(rng, size))
				}
				a.SealBatch(ops)
				for i := range ops {
					o := &ops[i]
					if !o.OK || !bytes.Equal(o.Dst, judge.Seal(nil, o.Nonce, o.In, o.AAD)) {
						t.Fatalf("%s: %d bytes: message %d differs", name, len(o.In), i)
					}
					o.In, o.Dst = o.Dst, cut(in[i], len(o.In))
				}
				a.OpenBatch(ops)
				for i := range ops {
					o := &ops[i]
					want, err := judge.Open(nil, o.Nonce, o.In, o.AAD)
					if err != nil || !o.OK || !bytes.Equal(o.Dst, want) {
						t.Fatalf("%s: %d bytes: message %d does not open", name, len(o.In), i)
					}
				}
			}
		}
	}
}
