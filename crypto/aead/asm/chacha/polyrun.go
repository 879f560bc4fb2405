package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Where type run of package aead has its parts.
const (
	runSrc   = 0  // the blocks before the last unit
	runUnits = 8  // how many units of 256 bytes they make
	runSkip  = 16 // how many blocks, 0 to 15, the first unit lacks at its start
	runLast  = 24 // the last unit
)

// blockOf says which of eight blocks lies in a lane, once two registers of four
// blocks have been unpacked to low and high words.
var blockOf = [8]int{0, 4, 1, 5, 2, 6, 3, 7}

// lanesWith returns the mask of the lanes whose block has the property.
func lanesWith(f func(block int) bool) (m uint64) {
	for lane, b := range blockOf {
		if f(b) {
			m |= 1 << lane
		}
	}
	return m
}

// polyRun is Poly1305 of one message, sixteen blocks at a time. The blocks are
// aligned to the end: the last unit is full and comes from a buffer that has
// padding and lengths in it, the first one may lack blocks at its start.
//
// With two rows of eight blocks in a unit,
//
//	acc = (acc + row0) * r^16 + row1 * r^8
//
// in each lane; in the last unit the powers are r^16 ... r^9 and r^8 ... r^1, so
// that the sum of all lanes is the result.
func polyRun() {
	polyData()
	// For each number of blocks that are missing at a unit's start: lanes of
	// row 0 and 1 that exist, and the lane of the first block in row 0 and 1.
	table := GLOBL("polyRunLanes", RODATA|NOPTR)
	for skip := range 16 {
		row := func(r int, f func(n int) bool) uint64 {
			return lanesWith(func(b int) bool { return f(8*r + b) })
		}
		exists := func(n int) bool { return n >= skip }
		first := func(n int) bool { return n == skip }
		DATA(4*skip, U32(uint32(row(0, exists)|row(1, exists)<<8|row(0, first)<<16|row(1, first)<<24)))
	}

	TEXT("polyRun", NOSPLIT, "func(st *byte, lane int, u *byte)")
	Doc("polyRun absorbs the units of u into the message at lane of st.")
	Pragma("noescape")
	st, u, src, n := RAX, RBX, RSI, RCX
	powers := AllocLocal(2 * polyPower) // r^16 to r^9, r^8 to r^1
	Load(Param("st"), st)
	Load(Param("lane"), RDX)
	Load(Param("u"), u)
	LEAQ(Mem{Base: st, Index: RDX, Scale: 8}, st) // to the message's own words
	loadMasks()

	regs := func(i int) [3]VecPhysical { return [3]VecPhysical{z[i], z[i+1], z[i+2]} }
	five := func(i int) (out [5]Op) {
		for j := range out {
			out[j] = z[i+j]
		}
		return out
	}
	// complete fills in 20 r1 and 20 r2 behind r.
	complete := func(i int, t VecPhysical) {
		times20(z[i+1], z[i+3], t)
		times20(z[i+2], z[i+4], t)
	}
	t := z[28]

	// Powers. Z0..: r, Z5..: r^2, then r^4, then r^8, Z10..: r^16 at last.
	p := product{regs(16), regs(19)}
	for i := range 5 {
		VPBROADCASTQ(Mem{Base: st, Disp: 64 * i}, z[i])
	}
	multiply := func(a [3]VecPhysical, r [5]Op, to [3]VecPhysical) {
		p.zero()
		p.add(a, r)
		p.reduce(to, nil)
	}
	// pick lays x over y where the bit of the exponent, 8 down to 1 from block
	// 0 on, is set.
	pick := func(bit int, x, y [3]VecPhysical) {
		MOVQ(U32(lanesWith(func(b int) bool { return (8-b)&bit != 0 })), R8)
		KMOVB(R8L, K1)
		for i := range 3 {
			VMOVDQA64(x[i], K1, y[i])
		}
	}
	odd, high := regs(22), regs(25)
	one := func(x [3]VecPhysical) {
		MOVQ(U32(1), R8)
		VPBROADCASTQ(R8, x[0])
		VPXORQ(x[1], x[1], x[1])
		VPXORQ(x[2], x[2], x[2])
	}
	one(odd)
	pick(1, regs(0), odd) // r where the exponent is odd
	multiply(regs(0), five(0), regs(5))
	complete(5, t) // r^2
	one(high)
	pick(2, regs(5), high)
	for i := range 3 {
		VMOVDQA64(high[i], z[10+i])
	}
	complete(10, t)
	multiply(odd, five(10), odd) // the exponent's two low bits
	multiply(regs(5), five(5), regs(5))
	complete(5, t) // r^4
	one(high)
	pick(4, regs(5), high)
	multiply(regs(5), five(5), regs(5))
	complete(5, t) // r^8
	pick(8, regs(5), high)
	for i := range 3 {
		VMOVDQA64(high[i], z[10+i])
	}
	complete(10, t)
	multiply(odd, five(10), odd) // r^8 ... r^1
	store := func(row int, r [3]VecPhysical) {
		for i := range 3 {
			VMOVDQU64(r[i], powers.Offset(row*polyPower+64*i))
		}
		for i := range 2 {
			times20(r[1+i], z[10], t)
			VMOVDQU64(z[10], powers.Offset(row*polyPower+64*(3+i)))
		}
	}
	store(1, odd)
	multiply(odd, five(5), odd) // r^16 ... r^9
	store(0, odd)
	multiply(regs(5), five(5), regs(10))
	complete(10, t) // r^16

	// The units. Z5..: r^8, Z10..: r^16, and all of these are free:
	words := [4]VecPhysical{z[0], z[1], z[2], z[3]}
	low, hi := z[4], z[15]
	row := [2][3]VecPhysical{regs(22), {z[25], z[0], z[1]}}
	sum := regs(26)
	prod := product{regs(16), regs(19)}

	// lay splits the unit in words into row 0 and row 1, without bit 128.
	lay := func() {
		VPUNPCKLQDQ(words[1], words[0], low)
		VPUNPCKHQDQ(words[1], words[0], hi)
		split(low, hi, row[0], z[0])
		VPUNPCKLQDQ(words[3], words[2], low)
		VPUNPCKHQDQ(words[3], words[2], hi)
		split(low, hi, row[1], z[2])
	}
	step := func(r16, r8 [5]Op) {
		for i := range 3 {
			VPADDQ(sum[i], row[0][i], row[0][i])
		}
		prod.zero()
		prod.add(row[1], r8)
		prod.add(row[0], r16)
		prod.reduce(sum, nil)
	}
	load := func(base GPPhysical, disp int) {
		for i := range words {
			VMOVDQU64(Mem{Base: base, Disp: disp + 64*i}, words[i])
		}
	}
	full := func() {
		VPORQ(bit128, row[0][2], row[0][2])
		VPORQ(bit128, row[1][2], row[1][2])
	}

	MOVQ(Mem{Base: u, Disp: runSrc}, src)
	MOVQ(Mem{Base: u, Disp: runUnits}, n)
	MOVQ(Mem{Base: u, Disp: runSkip}, R9)
	for i := range sum {
		VPXORQ(sum[i], sum[i], sum[i])
	}
	LEAQ(table, R10)
	MOVL(Mem{Base: R10, Index: R9, Scale: 4}, R11L)
	// Which words of the unit exist: two a block.
	SHLQ(U8(4), R9)
	SUBQ(R9, src) // where a full unit would start; not read
	SHRQ(U8(3), R9)
	MOVQ(I32(-1), R8)
	SHLXQ(R9, R8, R8)
	TESTQ(n, n)
	JNZ(LabelRef("first"))
	// Only the last unit: it is full.
	load(u, runLast)
	lay()
	full()
	for i := range 3 {
		VPBROADCASTQ(Mem{Base: st, Disp: polyAcc + 64*i}, sum[i])
	}
	SHRL(U8(16), R11L)
	KMOVB(R11L, K1)
	for i := range 3 {
		VMOVDQA64_Z(sum[i], K1, sum[i])
	}
	JMP(LabelRef("final"))

	Label("first")
	for i := range words {
		KMOVB(R8L, K1)
		VMOVDQU64_Z(Mem{Base: src, Disp: 64 * i}, K1, words[i])
		SHRQ(U8(8), R8)
	}
	lay()
	for i := range 2 {
		KMOVB(R11L, K1)
		VPORQ(bit128, row[i][2], K1, row[i][2])
		SHRL(U8(8), R11L)
	}
	for i := range 2 {
		KMOVB(R11L, K1)
		for j := range 3 {
			VPADDQ_BCST(Mem{Base: st, Disp: polyAcc + 64*j}, row[i][j], K1, row[i][j])
		}
		SHRL(U8(8), R11L)
	}
	step(five(10), five(5))
	DECQ(n)
	JZ(LabelRef("last"))
	Label("unit")
	ADDQ(U32(256), src)
	load(src, 0)
	lay()
	full()
	step(five(10), five(5))
	DECQ(n)
	JNZ(LabelRef("unit"))
	Label("last")
	load(u, runLast)
	lay()
	full()
	Label("final")
	fromMemory := func(row int) (out [5]Op) {
		for i := range out {
			out[i] = powers.Offset(row*polyPower + 64*i)
		}
		return out
	}
	step(fromMemory(0), fromMemory(1))
	for i, y := range []struct{ z, y, x VecPhysical }{{Z26, Y26, X26}, {Z27, Y27, X27}, {Z28, Y28, X28}} {
		VEXTRACTI64X4(U8(1), y.z, Y0)
		VPADDQ(Y0, y.y, Y1)
		VEXTRACTI64X2(U8(1), Y1, X0)
		VPADDQ(X0, X1, X1)
		VPSRLDQ(U8(8), X1, X0)
		VPADDQ(X0, X1, X1)
		VMOVQ(X1, Mem{Base: st, Disp: polyAcc + 64*i})
	}
	VZEROUPPER()
	RET()
}
