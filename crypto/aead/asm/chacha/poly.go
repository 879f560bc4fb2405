package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in type poly of package aead, which asserts them: four powers of r,
// each as limbs r0 r1 r2 and 20 r1, 20 r2; then the accumulator h0 h1 h2.
const (
	polyPower = 5 * 64
	polyAcc   = 4 * polyPower
)

// Constants that stay in registers: the limbs' masks and bit 128 of a block, as
// it lies in limb 2.
var (
	mask44 = z[29]
	mask42 = z[30]
	bit128 = z[31]
)

// quad declares one constant of 64 bits.
func quad(name string, v uint64) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	DATA(0, U64(v))
	return m
}

var consts struct{ m44, m42, b128, clampLo, clampHi, pick Mem }

// polyData declares the constants once.
func polyData() {
	if consts.m44.Symbol.Name != "" {
		return
	}
	consts.m44 = quad("polyMask44", 1<<44-1)
	consts.m42 = quad("polyMask42", 1<<42-1)
	consts.b128 = quad("polyBit128", 1<<40)
	consts.clampLo = quad("polyClampLo", 0x0ffffffc0fffffff)
	consts.clampHi = quad("polyClampHi", 0x0ffffffc0ffffffc)
	// Of two registers with two keys r0 r1 s0 s1 each: first the four r0,
	// then the four r1.
	consts.pick = GLOBL("polyPick", RODATA|NOPTR)
	for i, v := range []uint64{0, 4, 8, 12, 1, 5, 9, 13} {
		DATA(8*i, U64(v))
	}
}

func loadMasks() {
	VPBROADCASTQ(consts.m44, mask44)
	VPBROADCASTQ(consts.m42, mask42)
	VPBROADCASTQ(consts.b128, bit128)
}

// times20 sets dst = 20 x, which is what a limb counts that has gone over
// 2^132: 2^132 = 4 * 2^130 = 4 * 5. t is scratch.
func times20(x, dst, t VecPhysical) {
	VPSLLQ(U8(4), x, dst)
	VPSLLQ(U8(2), x, t)
	VPADDQ(t, dst, dst)
}

// splitSteps returns the instructions that cut the 128 bits hi:lo into limbs
// m[0..2], without bit 128. m[0] may be lo, m[2] may be hi; t is scratch.
func splitSteps(lo, hi VecPhysical, m [3]VecPhysical, t VecPhysical) []func() {
	return []func(){
		func() { VPSRLQ(U8(44), lo, m[1]) },
		func() { VPSLLQ(U8(20), hi, t) },
		func() { VPTERNLOGQ(U8(0xa8), mask44, t, m[1]) }, // (m[1] | t) & mask44
		func() { VPANDQ(mask44, lo, m[0]) },
		func() { VPSRLQ(U8(24), hi, m[2]) },
	}
}

// product is the accumulators of one or more products: low and high halves.
type product struct{ lo, hi [3]VecPhysical }

func (p product) zeroSteps() (steps []func()) {
	for _, r := range append(p.lo[:], p.hi[:]...) {
		steps = append(steps, func() { VPXORQ(r, r, r) })
	}
	return steps
}

// addSteps returns the instructions that add a * r, r being five operands r0 r1
// r2 20r1 20r2.
func (p product) addSteps(a [3]VecPhysical, r [5]Op) (steps []func()) {
	r0, r1, r2, s1, s2 := r[0], r[1], r[2], r[3], r[4]
	// Row i of the schoolbook product: which operand meets limb i of a for
	// the limbs 0, 1, 2 of the result.
	for i, row := range [3][3]Op{{r0, r1, r2}, {s2, r0, r1}, {s1, s2, r0}} {
		for j, o := range row {
			steps = append(steps,
				func() { VPMADD52LUQ(o, a[i], p.lo[j]) },
				func() { VPMADD52HUQ(o, a[i], p.hi[j]) })
		}
	}
	return steps
}

// reduceSteps returns the instructions that carry the product into limbs h, of
// 44, 44 and 42 bits and a little, under mask k if it is not nil. They spoil p.
//
// High halves weigh 2^52 = 2^44 * 2^8. With four products added up, low halves
// are below 2^56 and high halves below 2^46, so nothing overflows and the carries
// are below 2^14: limb 0 is exact, limbs 1 and 2 may be over by such a carry, far
// below the 52 bits that the multiplication takes.
func (p product) reduceSteps(h [3]VecPhysical, k *OpmaskPhysical) []func() {
	lo, hi := p.lo, p.hi
	masked := func(ops ...Op) []Op {
		if k == nil {
			return ops
		}
		return []Op{ops[0], ops[1], *k, ops[2]}
	}
	return []func(){
		func() { VPSLLQ(U8(8), hi[0], hi[0]) },
		func() { VPSLLQ(U8(8), hi[1], hi[1]) },
		func() { VPADDQ(hi[0], lo[1], lo[1]) },
		func() { VPADDQ(hi[1], lo[2], lo[2]) },
		// What lies over 2^130 comes back times five.
		func() { VPSRLQ(U8(42), lo[2], hi[0]) },
		func() { VPSLLQ(U8(10), hi[2], hi[2]) },
		func() { VPADDQ(hi[2], hi[0], hi[0]) },
		func() { VPSLLQ(U8(2), hi[0], hi[1]) },
		func() { VPADDQ(hi[0], lo[0], lo[0]) },
		func() { VPADDQ(hi[1], lo[0], lo[0]) },
		func() { VPSRLQ(U8(44), lo[0], hi[0]) },
		func() { VPSRLQ(U8(44), lo[1], hi[1]) },
		func() { VPANDQ(mask44, lo[1], lo[1]) },
		func() { VPANDQ(mask42, lo[2], lo[2]) },
		func() { VPANDQ(masked(mask44, lo[0], h[0])...) },
		func() { VPADDQ(masked(hi[0], lo[1], h[1])...) },
		func() { VPADDQ(masked(hi[1], lo[2], h[2])...) },
	}
}

// do writes the instructions.
func do(steps []func()) {
	for _, f := range steps {
		f()
	}
}

func split(lo, hi VecPhysical, m [3]VecPhysical, t VecPhysical) { do(splitSteps(lo, hi, m, t)) }

func (p product) zero()                                      { do(p.zeroSteps()) }
func (p product) add(a [3]VecPhysical, r [5]Op)              { do(p.addSteps(a, r)) }
func (p product) reduce(h [3]VecPhysical, k *OpmaskPhysical) { do(p.reduceSteps(h, k)) }

// power returns the operands of r^n in memory.
func power(st GPPhysical, n int) [5]Op {
	var out [5]Op
	for i := range out {
		out[i] = Mem{Base: st, Disp: (n-1)*polyPower + 64*i}
	}
	return out
}

// storePower stores r as r^n; t is scratch.
func storePower(st GPPhysical, n int, r [3]VecPhysical, t [2]VecPhysical) {
	o := power(st, n)
	for i := range 3 {
		VMOVDQU64(r[i], o[i])
	}
	for i := range 2 {
		times20(r[1+i], t[0], t[1])
		VMOVDQU64(t[0], o[3+i])
	}
}

func loadAcc(st GPPhysical, h [3]VecPhysical) {
	for i := range h {
		VMOVDQU64(Mem{Base: st, Disp: polyAcc + 64*i}, h[i])
	}
}

func storeAcc(st GPPhysical, h [3]VecPhysical) {
	for i := range h {
		VMOVDQU64(h[i], Mem{Base: st, Disp: polyAcc + 64*i})
	}
}

func polyInit() {
	polyData()
	TEXT("polyInit", NOSPLIT, "func(st *byte, keys *byte)")
	Doc("polyInit sets h = 0 and r^1 of the eight messages from their one-time keys.")
	Pragma("noescape")
	st, keys := RAX, RBX
	Load(Param("st"), st)
	Load(Param("keys"), keys)
	loadMasks()
	pick := z[28]
	VMOVDQU64(consts.pick, pick)
	for i := range 4 {
		VMOVDQU64(Mem{Base: keys, Disp: 64 * i}, z[i])
	}
	VPERMT2Q(z[1], pick, z[0])
	VPERMT2Q(z[3], pick, z[2])
	lo, hi := z[4], z[5]
	VSHUFI64X2(U8(0x44), z[2], z[0], lo)
	VSHUFI64X2(U8(0xee), z[2], z[0], hi)
	VPANDQ_BCST(consts.clampLo, lo, lo)
	VPANDQ_BCST(consts.clampHi, hi, hi)
	r := [3]VecPhysical{z[6], z[7], z[8]}
	split(lo, hi, r, z[9])
	storePower(st, 1, r, [2]VecPhysical{z[9], z[10]})
	VPXORQ(z[0], z[0], z[0])
	storeAcc(st, [3]VecPhysical{z[0], z[0], z[0]})
	VZEROUPPER()
	RET()
}

func polyPowers() {
	polyData()
	TEXT("polyPowers", NOSPLIT, "func(st *byte)")
	Doc("polyPowers sets r^2, r^3 and r^4 from r^1.")
	Pragma("noescape")
	st := RAX
	Load(Param("st"), st)
	loadMasks()
	regs := func(i int) [3]VecPhysical { return [3]VecPhysical{z[i], z[i+1], z[i+2]} }
	r1, r2, r3, r4 := regs(0), regs(3), regs(6), regs(9)
	t := [2]VecPhysical{z[24], z[25]}
	p, q := product{regs(12), regs(15)}, product{regs(18), regs(21)}
	for i := range r1 {
		VMOVDQU64(power(st, 1)[i], r1[i])
	}
	p.zero()
	p.add(r1, power(st, 1))
	p.reduce(r2, nil)
	storePower(st, 2, r2, t)
	p.zero()
	q.zero()
	p.add(r2, power(st, 1))
	q.add(r2, power(st, 2))
	p.reduce(r3, nil)
	q.reduce(r4, nil)
	storePower(st, 3, r3, t)
	storePower(st, 4, r4, t)
	VZEROUPPER()
	RET()
}

// Registers of polyBlocks and polyWords.
var (
	acc  = [3]VecPhysical{z[26], z[27], z[28]}
	prod = product{[3]VecPhysical{z[18], z[19], z[20]}, [3]VecPhysical{z[21], z[22], z[23]}}
	mid  = z[24]
	tmp  = z[25]
)

func polyWords() {
	polyData()
	TEXT("polyWords", NOSPLIT, "func(st *byte, words *[2][8]uint64, masks *uint8, n int)")
	Doc("polyWords absorbs n blocks, n >= 1, that lie as low and high words of the eight messages,",
		"each into the messages that its mask has.")
	Pragma("noescape")
	st, words, masks, n, k := RAX, RBX, RDX, RCX, K1
	Load(Param("st"), st)
	Load(Param("words"), words)
	Load(Param("masks"), masks)
	Load(Param("n"), n)
	loadMasks()
	loadAcc(st, acc)
	for i := range 5 {
		VMOVDQU64(power(st, 1)[i], z[i])
	}
	Label("loop")
	MOVBLZX(Mem{Base: masks}, R8L)
	KMOVB(R8L, k)
	VMOVDQU64(Mem{Base: words}, z[8])
	VMOVDQU64(Mem{Base: words, Disp: 64}, z[9])
	msg := [3]VecPhysical{z[8], mid, z[9]}
	split(z[8], z[9], msg, tmp)
	VPORQ(bit128, msg[2], msg[2])
	for i := range 3 {
		VPADDQ(acc[i], msg[i], msg[i])
	}
	prod.zero()
	prod.add(msg, [5]Op{z[0], z[1], z[2], z[3], z[4]})
	prod.reduce(acc, &k)
	ADDQ(U32(128), words)
	INCQ(masks)
	DECQ(n)
	JNZ(LabelRef("loop"))
	storeAcc(st, acc)
	VZEROUPPER()
	RET()
}
