package aead

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// mac is the scratch of authenticate.
type mac struct {
	// Room for a poly that starts at a cache line: its powers are operands of
	// most multiplications. At other addresses sealing 1500 bytes took 3 % longer.
	room   [unsafe.Sizeof(poly{})/8 + 7]uint64
	powers bool  // r^2 to r^4 are there
	count  int   // messages
	done   uint8 // those that polyRun has absorbed to their end
	// Blocks that do not come 64 bytes at once: up to three whole ones, one that is
	// padded, one with the lengths.
	words [5][2][8]uint64
	masks [5]uint8
	alone run
}

// poly returns the place in room. A stack that moves keeps its alignment.
func (m *mac) poly() *poly {
	return (*poly)(unsafe.Pointer(&m.room[-uintptr(unsafe.Pointer(&m.room))&56/8]))
}

// authenticate computes the tags of the up to eight messages from first on.
// sealed says that the ciphertext is in out, not in text.
func (g *group) authenticate(first int, sealed bool) {
	var m mac
	m.count = min(8, g.n-first)
	msgs := g.msgs[first : first+m.count]
	polyInit(m.poly(), (*[8][32]byte)(g.keys[first:first+8]))

	var parts [8][]byte
	aad := 0
	for i := range msgs {
		parts[i] = msgs[i].aad
		aad |= len(parts[i])
	}
	if aad != 0 {
		m.bulk(&parts)
		m.rest(&parts, nil)
	}
	for i := range msgs {
		c := msgs[i].text
		if sealed {
			c = msgs[i].out
		}
		parts[i] = unsafe.Slice((*byte)(c), msgs[i].n)
	}
	if long := m.longer(&parts); long < wideMax {
		for i := range msgs {
			if len(parts[i]) >= long {
				m.run(i, parts[i], len(msgs[i].aad))
				m.done |= 1 << i
				parts[i] = nil
			}
		}
	}
	if m.done != 1<<m.count-1 {
		m.bulk(&parts)
		m.rest(&parts, msgs)
	}
	for i := range msgs {
		m.tag(i, &g.keys[first+i], &g.tags[first+i])
	}
}

// What the two ways of Poly1305 cost, in cycles, roughly: side by side, for each
// 64 bytes of the longest message; one alone, for its powers of r and for each
// 64 bytes.
const (
	costSide  = 75
	costRun   = 150
	costRun64 = 12
)

// longer returns the length from which on messages are better worked alone than
// side by side; wideMax when none is.
func (m *mac) longer(parts *[8][]byte) int {
	at, last := wideMax, 0
	best := 0
	for i := range m.count {
		best = max(best, costSide*(len(parts[i])/64))
	}
	for i := range m.count {
		n := len(parts[i])
		if n < runMin || n == last {
			continue
		}
		last = n
		alone, side := 0, 0
		for j := range m.count {
			if k := len(parts[j]) / 64; len(parts[j]) >= n {
				alone += costRun + costRun64*k
			} else {
				side = max(side, costSide*k)
			}
		}
		if alone+side < best {
			best, at = alone+side, n
		}
	}
	return at
}

// runMin is the shortest text that run takes: sixteen blocks with the lengths.
const runMin = 15 * TagSize

// run absorbs all of message i's text and the lengths.
func (m *mac) run(i int, text []byte, aad int) {
	u := &m.alone
	blocks := (len(text)+15)/16 + 1
	before := blocks - 16 // that come from text itself
	u.src = unsafe.Pointer(unsafe.SliceData(text))
	u.units = (before + 15) / 16
	u.skip = 16*u.units - before
	last := unsafe.Slice(&u.last[0][0], 15*16)
	clear(last[copy(last, text[16*before:]):])
	binary.LittleEndian.PutUint64(u.last[15][:], uint64(aad))
	binary.LittleEndian.PutUint64(u.last[15][8:], uint64(len(text)))
	polyRun(m.poly(), i, u)
}

// bulk absorbs the parts' whole 64 bytes and leaves the rest in parts. Messages
// that are shorter than others step aside when they are through.
func (m *mac) bulk(parts *[8][]byte) {
	for {
		var src [8]unsafe.Pointer
		var mask uint8
		var some unsafe.Pointer
		n := 0
		for i := range m.count {
			k := len(parts[i]) / 64
			if k == 0 {
				continue
			}
			if mask == 0 || k < n {
				n = k
			}
			mask |= 1 << i
			some = unsafe.Pointer(unsafe.SliceData(parts[i]))
			src[i] = some
		}
		if mask == 0 {
			return
		}
		for i := range src {
			if src[i] == nil {
				src[i] = some // readable, and not absorbed
			}
		}
		if !m.powers {
			m.powers = true
			polyPowers(m.poly())
		}
		polyBlocks(m.poly(), &src, n, mask)
		for i := range m.count {
			if mask>>i&1 != 0 {
				parts[i] = parts[i][64*n:]
			}
		}
	}
}

// rest absorbs less than 64 bytes of each part, padded with zeros to whole blocks,
// and the lengths of AAD and text if msgs is not nil.
func (m *mac) rest(parts *[8][]byte, msgs []message) {
	clear(m.masks[:])
	blocks := 0
	for i := range m.count {
		if m.done>>i&1 != 0 {
			continue
		}
		b, j := parts[i], 0
		for ; len(b) >= 16; b = b[16:] {
			m.block(i, j, binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
			j++
		}
		if len(b) > 0 {
			var pad [16]byte
			copy(pad[:], b)
			m.block(i, j, binary.LittleEndian.Uint64(pad[:]), binary.LittleEndian.Uint64(pad[8:]))
			j++
		}
		if msgs != nil {
			m.block(i, j, uint64(len(msgs[i].aad)), uint64(msgs[i].n))
			j++
		}
		blocks = max(blocks, j)
	}
	if blocks > 0 {
		polyWords(m.poly(), &m.words[0], &m.masks[0], blocks)
	}
}

// block sets block j of message i.
func (m *mac) block(i, j int, lo, hi uint64) {
	m.words[j][0][i&7], m.words[j][1][i&7] = lo, hi
	m.masks[j] |= 1 << i
}

// tag reduces message i's accumulator modulo 2^130 - 5 and adds s: RFC 8439
// section 2.5.
func (m *mac) tag(i int, key *[32]byte, tag *[TagSize]byte) {
	const mask44, mask42 = 1<<44 - 1, 1<<42 - 1
	i &= 7
	acc := &m.poly().acc
	h0, h1, h2 := acc[0][i], acc[1][i], acc[2][i]
	// Two rounds of carries. What the second one brings back from over 2^130
	// meets a limb 0 that has just carried, and so is small: no third is needed.
	for range 2 {
		h1 += h0 >> 44
		h0 &= mask44
		h2 += h1 >> 44
		h1 &= mask44
		h0 += 5 * (h2 >> 42)
		h2 &= mask42
	}
	lo, hi, top := h0|h1<<44, h1>>20|h2<<24, h2>>40
	// h + 5 reaches 2^130 when h is not below 2^130 - 5; then it is h - p, once
	// bit 130 is dropped. Chosen without a branch.
	lo5, c := bits.Add64(lo, 5, 0)
	hi5, c := bits.Add64(hi, 0, c)
	over := -((top + c) >> 2 & 1)
	lo ^= over & (lo ^ lo5)
	hi ^= over & (hi ^ hi5)
	lo, c = bits.Add64(lo, binary.LittleEndian.Uint64(key[16:]), 0)
	hi, _ = bits.Add64(hi, binary.LittleEndian.Uint64(key[24:]), c)
	binary.LittleEndian.PutUint64(tag[:], lo)
	binary.LittleEndian.PutUint64(tag[8:], hi)
}
