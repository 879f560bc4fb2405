package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// polyBlocks works the eight messages in steps of 64 bytes. A step loads a row of
// eight words of each message and transposes them (rowSteps), then multiplies
// (blockSteps). The one keeps port 5 busy, the other waits for its own results
// most of the time, and both together are longer than the CPU looks ahead: so
// the rows of the next step are woven into the multiplications of this one.
func polyBlocks() {
	polyData()
	TEXT("polyBlocks", NOSPLIT, "func(st *byte, src *[8]*byte, n int, mask uint8)")
	Doc("polyBlocks absorbs n * 64 bytes, n >= 1, at src[i] into the messages i that mask has.",
		"The other messages' src must be readable too.")
	Pragma("noescape")
	st, n, k := RAX, RCX, K1
	p := [8]GPPhysical{RBX, RDX, RSI, RDI, R8, R9, R10, R11}
	Load(Param("src"), R12)
	Load(Param("mask"), R13B)
	Load(Param("n"), n)
	Load(Param("st"), st)
	KMOVB(R13L, k)
	for i := range p {
		MOVQ(Mem{Base: R12, Disp: 8 * i}, p[i])
	}
	loadMasks()
	loadAcc(st, acc)
	at := R12 // how far into the messages
	XORL(R12L, R12L)

	// Two sets of nine registers take turns.
	rows := func(base int) ([]func(), [8]VecPhysical) {
		return rowSteps(p, at, [9]VecPhysical(z[base:base+9]))
	}
	even, evenWords := rows(0)
	odd, oddWords := rows(9)
	do(even)
	Label("even")
	DECQ(n)
	JZ(LabelRef("lastEven"))
	weave(blockSteps(st, k, evenWords), odd)
	DECQ(n)
	JZ(LabelRef("lastOdd"))
	weave(blockSteps(st, k, oddWords), even)
	JMP(LabelRef("even"))
	Label("lastOdd")
	do(blockSteps(st, k, oddWords))
	JMP(LabelRef("done"))
	Label("lastEven")
	do(blockSteps(st, k, evenWords))
	Label("done")
	storeAcc(st, acc)
	VZEROUPPER()
	RET()
}

// weave spreads the steps b evenly over the steps a.
func weave(a, b []func()) {
	j := 0
	for i, f := range a {
		for j*len(a) <= i*len(b) && j < len(b) {
			b[j]()
			j++
		}
		f()
	}
	for ; j < len(b); j++ {
		b[j]()
	}
}

// rowSteps returns the instructions that load 64 bytes of each message and
// transpose them in the registers r, and where word w, 0 to 7, of all messages
// lies then: block b is words 2b and 2b+1. They advance at.
func rowSteps(p [8]GPPhysical, at GPPhysical, r [9]VecPhysical) ([]func(), [8]VecPhysical) {
	var steps []func()
	add := func(f func()) { steps = append(steps, f) }
	for i := range 8 {
		add(func() { VMOVDQU64(Mem{Base: p[i], Index: at, Scale: 1}, r[i]) })
	}
	add(func() { ADDQ(U8(64), at) })
	free := r[8]
	// pair replaces x and y by low(x, y) and high(x, y), with the free register's
	// help.
	pair := func(low, high func(y, x, to VecPhysical), x, y *VecPhysical) {
		a, b, to := *x, *y, free
		add(func() { low(b, a, to) })
		add(func() { high(b, a, a) })
		*x, *y, free = to, a, b
	}
	unpackLow := func(y, x, to VecPhysical) { VPUNPCKLQDQ(y, x, to) }
	unpackHigh := func(y, x, to VecPhysical) { VPUNPCKHQDQ(y, x, to) }
	shuffle := func(imm uint8) func(y, x, to VecPhysical) {
		return func(y, x, to VecPhysical) { VSHUFI64X2(U8(imm), y, x, to) }
	}
	var w [8]VecPhysical
	copy(w[:], r[:8])
	for i := 0; i < 8; i += 2 {
		pair(unpackLow, unpackHigh, &w[i], &w[i+1])
	}
	// w[2i+j] has words j, 2+j, 4+j, 6+j of messages 2i and 2i+1.
	var out [8]VecPhysical
	for j := range 2 {
		a, b, c, d := w[j], w[2+j], w[4+j], w[6+j]
		pair(shuffle(0x44), shuffle(0xee), &a, &b)
		pair(shuffle(0x44), shuffle(0xee), &c, &d)
		pair(shuffle(0x88), shuffle(0xdd), &a, &c)
		pair(shuffle(0x88), shuffle(0xdd), &b, &d)
		out[j], out[2+j], out[4+j], out[6+j] = a, c, b, d
	}
	return steps, out
}

// blockSteps returns the instructions that absorb four blocks of each message:
//
//	acc = (acc + block 0) * r^4 + block 1 * r^3 + block 2 * r^2 + block 3 * r
//
// The accumulator, which is there last, is used last. They spoil the words.
func blockSteps(st GPPhysical, k OpmaskPhysical, w [8]VecPhysical) []func() {
	var steps []func()
	add := func(f ...func()) { steps = append(steps, f...) }
	add(prod.zeroSteps()...)
	for b := 3; b >= 0; b-- {
		lo, hi := w[2*b], w[2*b+1]
		msg := [3]VecPhysical{lo, mid, hi}
		add(splitSteps(lo, hi, msg, tmp)...)
		add(func() { VPORQ(bit128, hi, hi) })
		if b == 0 {
			for i := range 3 {
				add(func() { VPADDQ(acc[i], msg[i], msg[i]) })
			}
		}
		add(prod.addSteps(msg, power(st, 4-b))...)
	}
	add(prod.reduceSteps(acc, &k)...)
	return steps
}
