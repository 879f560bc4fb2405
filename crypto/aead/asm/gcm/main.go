// Command gcm writes gcm_amd64.s of package aead: AES-GCM for processors with
// VAES and VPCLMULQDQ on 512-bit registers.
//
//	go generate ./crypto/aead
//
// One register holds four blocks. Three ideas make it fast:
//
//   - Counter mode runs 16 blocks at once in four registers, and the hash of the
//     16 blocks before (seal) or of the same 16 (open) is woven in between: AES
//     keeps one execution port busy, carry-less multiplication the other.
//   - Hashing multiplies block i of m by H^(m-i) from a table of powers and adds
//     up unreduced products. One reduction serves 52 blocks: all of a message of
//     up to 784 bytes with the AAD of a MACsec frame.
//   - The last 1 to 256 bytes need no loop: there is code for one, two, three and
//     four registers, with a byte mask for the last.
//
// Nothing here branches on, or indexes with, a secret.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The layout of gcmWide in package aead, bytes. TestGCMTables there
// compares.
const (
	powers    = 52             // H^52 at offset 0 down to H^1
	powersEnd = 16 * powers    // here H^0 would be; 64 bytes of zeros
	roundKeys = powersEnd + 64 // AES round keys, 16 bytes each
)

// group is what the main loop takes at once, bytes: four registers.
const group = 256

// chunk is how many groups of a long message are hashed between reductions. The
// first has up to 256 bytes of AAD before it, so the table of powers must have
// 16 more than 16 * chunk, or more.
const chunk = 2

// Registers. Z0 to Z14 hold the round keys, each four times.
var (
	swap = Z15                               // shuffle that reverses the bytes of each block
	ctr  = Z16                               // next four counter blocks, bytes reversed
	st   = []VecPhysical{Z17, Z18, Z19, Z20} // AES states
	lo   = Z21                               // sum of unreduced products: low,
	mid  = Z22                               // middle
	hi   = Z23                               // and high part
	acc  = Z24                               // hash so far, to be added to the next block; lanes 1 to 3 zero
	poly = Z25                               // what reduces, in each lane
	j0   = X26                               // AES state of the tag's mask
	t0   = Z27                               // temporaries
	t1   = Z28
	t2   = Z29
	t3   = Z30
	lens = X31 // block of both lengths, bytes reversed
)

// rk returns the register of round key i.
func rk(i int) VecPhysical {
	return []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14}[i]
}

// Constants in memory.
var swapConst, polyConst, shiftConst, firstConst, stepConst Mem

func constants() {
	quads := func(name string, q ...uint64) Mem {
		m := GLOBL(name, RODATA|NOPTR)
		for i, v := range q {
			DATA(8*i, U64(v))
		}
		return m
	}
	swapConst = quads("gcmSwap", 0x08090a0b0c0d0e0f, 0x0001020304050607)
	// x^128 + x^127 + x^126 + x^121 + 1: GHASH's polynomial, bits reversed.
	polyConst = quads("gcmPoly", 1, 0xc200000000000000)
	shiftConst = quads("gcmShift", 1, 0xc200000000000001)
	// Counters of the first four blocks relative to that of the tag's mask, and
	// of the registers relative to each other.
	firstConst = quads("gcmFirst", 1, 0, 2, 0, 3, 0, 4, 0)
	steps := []uint64{}
	for _, s := range []uint64{4, 8, 12, 16} {
		for range 4 {
			steps = append(steps, s, 0)
		}
	}
	stepConst = quads("gcmStep", steps...)
}

func main() {
	constants()
	for _, bits := range []int{128, 256} {
		initKey(bits)
		crypt(bits, false)
		crypt(bits, true)
	}
	Generate()
}

// weave emits two independent sequences, each in its order, spread evenly.
func weave(a, b []func()) {
	i := 0
	for k, f := range a {
		f()
		for ; i < len(b)*(k+1)/len(a); i++ {
			b[i]()
		}
	}
	for ; i < len(b); i++ {
		b[i]()
	}
}

// run emits a sequence.
func run(seq []func()) { weave(seq, nil) }
