package aead

import (
	"crypto/fips140"
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go -C asm run ./gcm -out ../gcm_amd64.s

// hasWide reports whether the processor and the kernel have what gcm_amd64.s
// needs.
var hasWide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ &&
	cpu.X86.HasAVX512VAES && cpu.X86.HasAVX512VPCLMULQDQ && cpu.X86.HasBMI2

// gcmWide is AES-GCM with four blocks to a register. It is 1152 bytes without a
// pointer, so the allocator puts it on a cache line.
type gcmWide struct {
	// powers are H^52 down to H^1, each divided by x and with its bytes reversed;
	// the last four are zero, for loads that reach behind H^1. The generator in
	// asm/gcm knows this layout (TestGCMTables).
	powers [56][16]byte
	keys   [15][16]byte // AES round keys, 11 or 15
	rounds int          // 10 or 14; 0 after Wipe
}

// newGCMWide returns AES-GCM on 512-bit registers, or nil where they may not be
// used: where the processor has no such instructions, and in FIPS 140 mode, whose
// module they are no part of. key is 16 or 32 bytes.
func newGCMWide(key []byte) AEAD {
	if !hasWide || fips140.Enabled() {
		return nil
	}
	g := new(gcmWide)
	switch len(key) {
	case 16:
		gcmInit128(g, &key[0])
		g.rounds = 10
	case 32:
		gcmInit256(g, &key[0])
		g.rounds = 14
	default:
		return nil
	}
	return g
}

// Wipe implements AEAD.
func (g *gcmWide) Wipe() { *g = gcmWide{} }

// firstCounter is the counter of the block that masks the tag, for nonces of 12
// bytes.
const firstCounter = 1

// maxMessage is the longest message, bytes: the counter, 32 bits, must not come
// back to the tag's.
const maxMessage = (1<<32 - 2) * 16

// Seal implements AEAD.
//
// Hot path: no allocation (TestGCMNoAllocs).
func (g *gcmWide) Seal(dst, nonce, in, aad []byte) bool {
	return g.seal(dst, nonce, firstCounter, in, aad)
}

func (g *gcmWide) seal(dst, nonce []byte, ctr uint32, in, aad []byte) bool {
	n := len(in)
	if len(dst)-TagSize < n || len(nonce) != NonceSize {
		return false
	}
	if n > maxMessage {
		panic("aead: message too large for GCM")
	}
	checkOverlap(dst[:n+TagSize], in, aad)
	switch g.rounds {
	case 10:
		gcmSeal128(g, &dst[0], &nonce[0], ctr, unsafe.SliceData(in), n, unsafe.SliceData(aad), len(aad))
	case 14:
		gcmSeal256(g, &dst[0], &nonce[0], ctr, unsafe.SliceData(in), n, unsafe.SliceData(aad), len(aad))
	default:
		return false
	}
	return true
}

// Open implements AEAD.
//
// Hot path: no allocation (TestGCMNoAllocs).
func (g *gcmWide) Open(dst, nonce, in, aad []byte) bool {
	return g.open(dst, nonce, firstCounter, in, aad)
}

func (g *gcmWide) open(dst, nonce []byte, ctr uint32, in, aad []byte) bool {
	n := len(in) - TagSize
	if n < 0 || len(dst) < n || len(nonce) != NonceSize || n > maxMessage {
		return false
	}
	checkOverlap(dst[:n], in, aad)
	var ok bool
	switch g.rounds {
	case 10:
		ok = gcmOpen128(g, unsafe.SliceData(dst), &nonce[0], ctr, &in[0], n, unsafe.SliceData(aad), len(aad))
	case 14:
		ok = gcmOpen256(g, unsafe.SliceData(dst), &nonce[0], ctr, &in[0], n, unsafe.SliceData(aad), len(aad))
	default:
		return false
	}
	if !ok {
		// Long messages are decrypted while they are hashed.
		clear(dst[:n])
	}
	return ok
}

// SealBatch implements AEAD.
func (g *gcmWide) SealBatch(ops []Op) {
	for i := range ops {
		o := &ops[i]
		o.OK = g.Seal(o.Dst, o.Nonce, o.In, o.AAD)
	}
}

// OpenBatch implements AEAD.
func (g *gcmWide) OpenBatch(ops []Op) {
	for i := range ops {
		o := &ops[i]
		o.OK = g.Open(o.Dst, o.Nonce, o.In, o.AAD)
	}
}

// gcmInit128 and gcmInit256 fill w from the 16 or 32 bytes at key.
//
//go:noescape
func gcmInit128(w *gcmWide, key *byte)

//go:noescape
func gcmInit256(w *gcmWide, key *byte)

// gcmSeal128 and gcmSeal256 encrypt the n bytes at in to dst and write the tag
// behind them. nonce is 12 bytes, ctr the tag's counter, alen the length of aad.
// They read and write no byte beyond those.
//
//go:noescape
func gcmSeal128(w *gcmWide, dst, nonce *byte, ctr uint32, in *byte, n int, aad *byte, alen int)

//go:noescape
func gcmSeal256(w *gcmWide, dst, nonce *byte, ctr uint32, in *byte, n int, aad *byte, alen int)

// gcmOpen128 and gcmOpen256 decrypt n bytes of in, whose tag follows, to dst and
// report whether the tag is right. When it is not, dst may hold plaintext if n is
// more than 256, and the caller clears it.
//
//go:noescape
func gcmOpen128(w *gcmWide, dst, nonce *byte, ctr uint32, in *byte, n int, aad *byte, alen int) bool

//go:noescape
func gcmOpen256(w *gcmWide, dst, nonce *byte, ctr uint32, in *byte, n int, aad *byte, alen int) bool
