package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// GHASH numbers bits from the left. With the bytes of a block reversed, the
// carry-less product of two blocks is GHASH's but for one bit: it comes out times
// x. So the powers in the table are kept divided by x, which is a shift to the
// left in this order of bits, and no product needs one.

// multiply adds the products of the four blocks of d and four powers to lo, mid
// and hi. It uses t1, t2 and t3.
func multiply(d VecPhysical, p Mem) []func() {
	return []func(){
		func() { VMOVDQU64(p, t3) },
		func() { VPCLMULQDQ(U8(0x00), t3, d, t1) },
		func() { VPCLMULQDQ(U8(0x01), t3, d, t2) },
		func() { VPXORQ(t1, lo, lo) },
		func() { VPCLMULQDQ(U8(0x10), t3, d, t1) },
		func() { VPTERNLOGQ(U8(0x96), t1, t2, mid) },
		func() { VPCLMULQDQ(U8(0x11), t3, d, t2) },
		func() { VPXORQ(t2, hi, hi) },
	}
}

// multiplyLens adds the product of the length block and H.
func multiplyLens(key Register) []func() {
	d, x1, x2, x3 := lens, t1.AsX(), t2.AsX(), t3.AsX()
	return []func(){
		func() { VMOVDQU64(Mem{Base: key, Disp: powersEnd - 16}, x3) },
		func() { VPCLMULQDQ(U8(0x00), x3, d, x1) },
		func() { VPCLMULQDQ(U8(0x01), x3, d, x2) },
		func() { VPXORQ(t1, lo, lo) },
		func() { VPCLMULQDQ(U8(0x10), x3, d, x1) },
		func() { VPTERNLOGQ(U8(0x96), t1, t2, mid) },
		func() { VPCLMULQDQ(U8(0x11), x3, d, x2) },
		func() { VPXORQ(t2, hi, hi) },
	}
}

// multiplyTwo is multiply for d0 and d1 at once. One instruction adds two
// products, so it takes a quarter fewer additions. It uses t1 and t2.
func multiplyTwo(d0, d1 VecPhysical, p0, p1 Mem) []func() {
	var seq []func()
	product := func(half uint8, p Mem, d, to VecPhysical) {
		seq = append(seq, func() { VPCLMULQDQ(U8(half), p, d, to) })
	}
	add := func(sum VecPhysical) {
		seq = append(seq, func() { VPTERNLOGQ(U8(0x96), t1, t2, sum) })
	}
	product(0x00, p0, d0, t1)
	product(0x00, p1, d1, t2)
	add(lo)
	product(0x01, p0, d0, t1)
	product(0x10, p0, d0, t2)
	add(mid)
	product(0x01, p1, d1, t1)
	product(0x10, p1, d1, t2)
	add(mid)
	product(0x11, p0, d0, t1)
	product(0x11, p1, d1, t2)
	add(hi)
	return seq
}

// takeAcc adds what acc holds to the first block of d, and empties it.
func takeAcc(d VecPhysical) []func() {
	return []func(){
		func() { VPXORQ(acc, d, d) },
		func() { VPXORQ(acc, acc, acc) },
	}
}

// hashGroup adds 256 bytes from memory; p is the power of the first block.
func hashGroup(from Mem, p Mem) []func() {
	var seq []func()
	for i := 0; i < 4; i += 2 {
		seq = append(seq,
			func() { VMOVDQU64(from.Offset(64*i), t0) },
			func() { VMOVDQU64(from.Offset(64*i+64), t3) },
			func() { VPSHUFB(swap, t0, t0) },
			func() { VPSHUFB(swap, t3, t3) })
		if i == 0 {
			seq = append(seq, takeAcc(t0)...)
		}
		seq = append(seq, multiplyTwo(t0, t3, p.Offset(64*i), p.Offset(64*i+64))...)
	}
	return seq
}

// clear empties the sum of products.
func clear() []func() {
	return []func(){
		func() { VPXORQ(lo, lo, lo) },
		func() { VPXORQ(mid, mid, mid) },
		func() { VPXORQ(hi, hi, hi) },
	}
}

// reduce brings the sum of products, four lanes, to one block in acc. Two folds
// of 64 bits each take the polynomial's multiples away; the lanes are added
// after that, when there is one register left of three. The sum is empty afterwards.
func reduce() []func() {
	return append([]func(){
		func() { VPCLMULQDQ(U8(0x01), lo, poly, t1) },
		func() { VPSHUFD(U8(0x4e), lo, lo) },
		func() { VPTERNLOGQ(U8(0x96), t1, lo, mid) },
		func() { VPCLMULQDQ(U8(0x01), mid, poly, t1) },
		func() { VPSHUFD(U8(0x4e), mid, mid) },
		func() { VPTERNLOGQ(U8(0x96), t1, mid, hi) },
		func() { VEXTRACTI64X4(U8(1), hi, t1.AsY()) },
		func() { VPXORQ(t1.AsY(), hi.AsY(), hi.AsY()) },
		func() { VEXTRACTI64X2(U8(1), hi.AsY(), t1.AsX()) },
		func() { VPXORQ(t1.AsX(), hi.AsX(), acc.AsX()) },
	}, clear()...)
}
