package aead_test

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// polyEdges are RFC 8439 appendix A.3, vectors 1 and 7 to 11: what goes wrong
// when carries or the last reduction are not exact. The others of that appendix
// end in a partial block, which the AEAD never has.
var polyEdges = []struct{ name, r, s, msg, tag string }{
	{"1: all zero", "00000000000000000000000000000000", "00000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000000" +
			"0000000000000000000000000000000000000000000000000000000000000000",
		"00000000000000000000000000000000"},
	{"7: 2^130 - 5 reduced once", "02000000000000000000000000000000", "00000000000000000000000000000000",
		"ffffffffffffffffffffffffffffffff", "03000000000000000000000000000000"},
	{"8: s carries out of 128 bits", "02000000000000000000000000000000", "ffffffffffffffffffffffffffffffff",
		"02000000000000000000000000000000", "03000000000000000000000000000000"},
	{"9: carry through all limbs", "01000000000000000000000000000000", "00000000000000000000000000000000",
		"fffffffffffffffffffffffffffffffff0ffffffffffffffffffffffffffffff" +
			"11000000000000000000000000000000", "05000000000000000000000000000000"},
	{"10: h is p", "01000000000000000000000000000000", "00000000000000000000000000000000",
		"fffffffffffffffffffffffffffffffffbfefefefefefefefefefefefefefefe" +
			"01010101010101010101010101010101", "00000000000000000000000000000000"},
	{"11: h is p - 1", "02000000000000000000000000000000", "00000000000000000000000000000000",
		"fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff"},
}

// widePolyWays runs the code that computes Poly1305, in every way that there is,
// of one message at place i among others.
func widePolyWays(key [32]byte, msg []byte, i int) [][aead.TagSize]byte {
	var keys [8][32]byte
	msgs := make([][]byte, 8)
	for j := range keys {
		msgs[j] = msg[:len(msg)/32*16] // shorter ones beside it
	}
	keys[i], msgs[i] = key, msg
	tags := [][aead.TagSize]byte{aead.WidePoly(&keys, msgs)[i]}
	if len(msg) >= 256 {
		tags = append(tags, aead.WidePolyRun(&key, msg, i))
	}
	return tags
}

func TestWidePolyVectors(t *testing.T) {
	if !aead.Wide() {
		t.Log("this CPU has no AVX-512: nothing to test")
		return
	}
	for _, v := range polyEdges {
		key := [32]byte(unhex(t, v.r+v.s))
		for i := range 8 {
			for way, got := range widePolyWays(key, unhex(t, v.msg), i) {
				if !slices.Equal(got[:], unhex(t, v.tag)) {
					t.Errorf("%s: place %d way %d: got %x, want %s", v.name, i, way, got, v.tag)
				}
			}
		}
	}
}

// bigPoly is Poly1305 as RFC 8439 section 2.5 writes it.
func bigPoly(key [32]byte, msg []byte) [16]byte {
	number := func(le []byte) *big.Int {
		b := slices.Clone(le)
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	r := slices.Clone(key[:16])
	for _, i := range []int{3, 7, 11, 15} {
		r[i] &= 15
	}
	for _, i := range []int{4, 8, 12} {
		r[i] &= 252
	}
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	acc := new(big.Int)
	for ; len(msg) > 0; msg = msg[16:] {
		acc.Add(acc, number(append(slices.Clone(msg[:16]), 1)))
		acc.Mod(acc.Mul(acc, number(r)), p)
	}
	acc.Add(acc, number(key[16:]))
	acc.And(acc, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
	var tag [16]byte
	acc.FillBytes(tag[:])
	slices.Reverse(tag[:])
	return tag
}

// TestWidePolyAgainstBig compares with big integers on keys and messages made of
// bytes that drive limbs to their ends.
func TestWidePolyAgainstBig(t *testing.T) {
	if !aead.Wide() {
		t.Log("this CPU has no AVX-512: nothing to test")
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	extreme := []byte{0, 1, 2, 3, 4, 5, 0x0f, 0x7f, 0x80, 0xf0, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff}
	fill := func(b []byte) {
		switch rng.IntN(4) {
		case 0:
			v := extreme[rng.IntN(len(extreme))]
			for i := range b {
				b[i] = v
			}
		case 1:
			for i := range b {
				b[i] = 0xff
			}
			for range rng.IntN(4) {
				b[rng.IntN(len(b))] = extreme[rng.IntN(len(extreme))]
			}
		case 2:
			for i := range b {
				b[i] = extreme[rng.IntN(len(extreme))]
			}
		case 3:
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
		}
	}
	for range 4000 {
		var key [32]byte
		fill(key[:16])
		fill(key[16:])
		msg := make([]byte, 16*(1+rng.IntN(60)))
		for at := 0; at < len(msg); {
			n := min(len(msg)-at, 16*(1+rng.IntN(20)))
			fill(msg[at : at+n])
			at += n
		}
		want := bigPoly(key, msg)
		for way, got := range widePolyWays(key, msg, rng.IntN(8)) {
			if got != want {
				t.Fatalf("way %d: key %x message %x: got %x, want %x", way, key, msg, got, want)
			}
		}
	}
}
