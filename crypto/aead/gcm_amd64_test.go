package aead_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// element is an element of GHASH's field as in the standard: the first bit is
// the highest of hi and the coefficient of x^0.
type element struct{ hi, lo uint64 }

func elementOf(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (a element) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a.hi), a.lo)
}

func (a element) add(b element) element { return element{a.hi ^ b.hi, a.lo ^ b.lo} }

// times is SP 800-38D's algorithm 1, bit by bit.
func (a element) times(b element) element {
	var z element
	for i := range 128 {
		word := a.hi
		if i >= 64 {
			word = a.lo
		}
		if word>>(63-i%64)&1 == 1 {
			z = z.add(b)
		}
		out := b.lo & 1
		b = element{b.hi >> 1, b.lo>>1 | b.hi<<63}
		if out == 1 {
			b.hi ^= 0xe1 << 56
		}
	}
	return z
}

// inverse is a^(2^128-2): the product of a^2, a^4, ... a^(2^127).
func (a element) inverse() element {
	z := element{hi: 1 << 63}
	for range 127 {
		a = a.times(a)
		z = z.times(a)
	}
	return z
}

// TestGCMCounterWraps starts the counter shortly below 2^32, where only its own
// 32 bits may overflow. No message with a nonce of 12 bytes gets there in
// reasonable time, but with one of 16 bytes the standard hashes the nonce to the
// first counter block, and that can be solved for the nonce:
//
//	J0 = (N*H + L)*H    so    N = (J0 + L*H) / H^2
//
// with L, the block of lengths, being 128 bits. So crypto/cipher is the reference.
func TestGCMCounterWraps(t *testing.T) {
	_, bytesOf := random(t)
	for _, size := range []int{16, 32} {
		key := bytesOf(size)
		w := aead.NewGCMWide(key)
		if w == nil {
			return // no such code on this machine
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		std, err := cipher.NewGCMWithNonceSize(block, 16)
		if err != nil {
			t.Fatal(err)
		}
		zero := make([]byte, 16)
		block.Encrypt(zero, zero)
		h := elementOf(zero)
		length := element{lo: 128}
		perH2 := h.times(h).inverse()
		for back := range uint32(80) {
			ctr := math.MaxUint32 - back
			nonce, plain, aad := bytesOf(12), bytesOf(1500), bytesOf(28)
			first := elementOf(binary.BigEndian.AppendUint32(bytes.Clone(nonce), ctr))
			long := first.add(length.times(h)).times(perH2).bytes()
			for _, n := range []int{0, 16, 64, 200, 256, 700, 1500} {
				want := std.Seal(nil, long, plain[:n], aad)
				got := make([]byte, len(want))
				if !aead.GCMSealAt(w, got, nonce, ctr, plain[:n], aad) || !bytes.Equal(got, want) {
					t.Fatalf("counter %#x, %d bytes\n got %x\nwant %x", ctr, n, got, want)
				}
				if !aead.GCMOpenAt(w, got, nonce, ctr, got, aad) || !bytes.Equal(got[:n], plain[:n]) {
					t.Fatalf("counter %#x, %d bytes do not open", ctr, n)
				}
			}
		}
	}
}

// TestGCMTables: gcmWide has its parts where the generated code writes them, and
// the powers are right.
func TestGCMTables(t *testing.T) {
	_, bytesOf := random(t)
	key := bytesOf(32)
	w := aead.NewGCMWide(key)
	if w == nil {
		return // no such code on this machine
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, 16)
	block.Encrypt(zero, zero)
	h := elementOf(zero)
	x := element{hi: 1 << 62} // the second bit of a block
	want := x.inverse()
	powers, keys := aead.GCMTables(w)
	for i := range 52 {
		want = want.times(h)
		got := powers[51-i]
		slices.Reverse(got[:])
		if elementOf(got[:]) != want {
			t.Errorf("H^%d / x is %x, want %x", i+1, got, want.bytes())
		}
	}
	if [4][16]byte(powers[52:]) != [4][16]byte{} {
		t.Errorf("behind H^1 is %x, want zeros", powers[52:])
	}
	if !bytes.Equal(keys[0][:], key[:16]) || !bytes.Equal(keys[1][:], key[16:]) {
		t.Errorf("round keys begin %x %x, want %x", keys[0], keys[1], key)
	}
	if keys[14] == [16]byte{} {
		t.Error("the last round key is missing")
	}
}
