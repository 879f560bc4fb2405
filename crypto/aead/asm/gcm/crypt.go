package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// message is where one function keeps its arguments.
type message struct {
	rounds int
	open   bool

	key       Register // gcmWide
	end       Register // of the powers in it
	dst, in   Register // next byte to write, to read
	n         Register // bytes left, without the tag
	aad, alen Register // next byte and bytes left of the AAD
	p, pa     Register // power of the next block of data, of AAD
	tmp       Register
}

// crypt emits gcmSeal or gcmOpen for one key size.
func crypt(bits int, open bool) {
	name, result := fmt.Sprintf("gcmSeal%d", bits), ""
	if open {
		name, result = fmt.Sprintf("gcmOpen%d", bits), " bool"
	}
	TEXT(name, NOSPLIT, "func(w, dst, nonce *byte, ctr uint32, in *byte, n int, aad *byte, alen int)"+result)
	m := &message{
		rounds: rounds(bits), open: open,
		key: Load(Param("w"), RSI), dst: Load(Param("dst"), RDI), in: Load(Param("in"), RBX), n: Load(Param("n"), RCX),
		aad: Load(Param("aad"), R8), alen: Load(Param("alen"), R9),
		end: R12, p: R10, pa: R11, tmp: RAX,
	}
	m.start()
	m.hashAAD()
	m.groups()
	m.tail()
	m.longAAD()
}

// start loads constants and round keys and makes the counter blocks.
func (m *message) start() {
	nonce := Load(Param("nonce"), RDX)
	VBROADCASTI32X4(swapConst, swap)
	// Four bytes at a time: the caller may just have written them as 4 and 8 or
	// as 8 and 4, and a load across two fresh stores has to wait for both.
	c := Load(Param("ctr"), EAX)
	BSWAPL(c)
	VMOVD(Mem{Base: nonce}, j0)
	VMOVD(Mem{Base: nonce, Disp: 8}, t0.AsX())
	VPINSRD(U8(1), Mem{Base: nonce, Disp: 4}, j0, j0)
	VPINSRD(U8(1), c, t0.AsX(), t0.AsX())
	VPUNPCKLQDQ(t0.AsX(), j0, j0)
	VPSHUFB(swap.AsX(), j0, ctr.AsX())
	for i := range m.rounds + 1 {
		VBROADCASTI32X4(Mem{Base: m.key, Disp: roundKeys + 16*i}, rk(i))
	}
	VSHUFI32X4(U8(0), ctr, ctr, ctr)
	VPADDD(firstConst, ctr, ctr)
	VPXORQ(rk(0).AsX(), j0, j0)
	VBROADCASTI32X4(polyConst, poly)

	LEAQ(Mem{Base: m.key, Disp: powersEnd}, m.end)

	Comment("Both lengths in bits.")
	MOVQ(m.n, m.tmp)
	SHLQ(U8(3), m.tmp)
	VMOVQ(m.tmp, lens)
	MOVQ(m.alen, m.tmp)
	SHLQ(U8(3), m.tmp)
	VPINSRQ(U8(1), m.tmp, lens, lens)
	VPXORQ(acc, acc, acc)
	run(clear())
}

// hashAAD adds the AAD, up to 256 bytes; longer ones are shortened first. The
// products stay unreduced.
func (m *message) hashAAD() {
	Comment("AAD.")
	CMPQ(m.alen, U32(group))
	JA(LabelRef("aadLong"))
	Label("aadShort")
	Comment("Powers of the first block of AAD and of data.")
	LEAQ(Mem{Base: m.alen, Disp: 15}, m.pa)
	ANDQ(I8(-16), m.pa)
	LEAQ(Mem{Base: m.n, Disp: 15 + 16}, m.tmp)
	ANDQ(I8(-16), m.tmp)
	LEAQ(Mem{Base: m.pa, Index: m.tmp, Scale: 1}, m.p)
	CMPQ(m.p, U32(16*powers))
	JBE(LabelRef("unchunked"))
	MOVQ(U32(chunk*group), m.tmp)
	Label("unchunked")
	MOVQ(m.end, m.p)
	SUBQ(m.tmp, m.p)
	TESTQ(m.alen, m.alen)
	JZ(LabelRef("aadDone"))
	NEGQ(m.pa)
	ADDQ(m.p, m.pa)
	CMPQ(m.alen, U8(64))
	JBE(LabelRef("aadLast"))
	Label("aadLoop")
	VMOVDQU64(Mem{Base: m.aad}, t0)
	VPSHUFB(swap, t0, t0)
	run(takeAcc(t0))
	run(multiply(t0, Mem{Base: m.pa}))
	ADDQ(U8(64), m.aad)
	ADDQ(U8(64), m.pa)
	SUBQ(U8(64), m.alen)
	CMPQ(m.alen, U8(64))
	JA(LabelRef("aadLoop"))
	Label("aadLast")
	m.mask(m.alen)
	VMOVDQU8_Z(Mem{Base: m.aad}, K1, t0)
	VPSHUFB(swap, t0, t0)
	run(takeAcc(t0))
	run(multiply(t0, Mem{Base: m.pa}))
	Label("aadDone")
}

// longAAD, behind the function's end, takes 256 bytes at a time off a long AAD.
func (m *message) longAAD() {
	Label("aadLong")
	run(hashGroup(Mem{Base: m.aad}, Mem{Base: m.end, Disp: -group}))
	run(reduce())
	ADDQ(U32(group), m.aad)
	SUBQ(U32(group), m.alen)
	CMPQ(m.alen, U32(group))
	JA(LabelRef("aadLong"))
	JMP(LabelRef("aadShort"))
}

// mask sets K1 to the first n bytes of a register, n from 1 to 64.
func (m *message) mask(n Register) {
	MOVQ(I32(-1), m.tmp)
	BZHIQ(n, m.tmp, m.tmp)
	KMOVQ(m.tmp, K1)
}

// groups takes 256 bytes at a time while more than that are left.
func (m *message) groups() {
	Comment("Groups of 16 blocks.")
	CMPQ(m.n, U32(group))
	JBE(LabelRef("tail"))
	next := func() {
		ADDQ(U32(group), m.in)
		ADDQ(U32(group), m.dst)
		SUBQ(U32(group), m.n)
	}
	if m.open {
		Label("group")
		weave(m.aesGroup(), hashGroup(Mem{Base: m.in}, Mem{Base: m.p}))
		m.storeGroup()
		next()
		m.hashed("a")
		CMPQ(m.n, U32(group))
		JA(LabelRef("group"))
		Label("tail")
		return
	}
	// Sealing, the hash is one group behind.
	behind := hashGroup(Mem{Base: m.dst, Disp: -group}, Mem{Base: m.p})
	run(m.aesGroup())
	m.storeGroup()
	next()
	CMPQ(m.n, U32(group))
	JBE(LabelRef("groupLast"))
	Label("group")
	weave(m.aesGroup(), behind)
	m.storeGroup()
	m.hashed("a")
	next()
	CMPQ(m.n, U32(group))
	JA(LabelRef("group"))
	Label("groupLast")
	run(behind)
	m.hashed("b")
	Label("tail")
}

// hashed moves p on by a group, and at the end of the powers reduces and moves
// it back: for n bytes more and the lengths when the table has as many, or else
// for a chunk.
func (m *message) hashed(suffix string) {
	ADDQ(U32(group), m.p)
	CMPQ(m.p, m.end)
	JNE(LabelRef("go_" + suffix))
	run(reduce())
	LEAQ(Mem{Base: m.n, Disp: 15 + 16}, m.tmp)
	ANDQ(I8(-16), m.tmp)
	CMPQ(m.tmp, U32(16*powers))
	JBE(LabelRef("back_" + suffix))
	MOVQ(U32(chunk*group), m.tmp)
	Label("back_" + suffix)
	SUBQ(m.tmp, m.p)
	Label("go_" + suffix)
}

// counters makes the first states of z registers.
func (m *message) counters(z int) []func() {
	var seq []func()
	for i := range z {
		from := ctr
		if i > 0 {
			seq = append(seq, func() { VPADDD(stepConst.Offset(64*(i-1)), ctr, st[i]) })
			from = st[i]
		}
		seq = append(seq, func() { VPSHUFB(swap, from, st[i]) })
	}
	for i := range z {
		seq = append(seq, func() { VPXORQ(rk(0), st[i], st[i]) })
	}
	return seq
}

// aesGroup makes the output of four registers, in st.
func (m *message) aesGroup() []func() {
	seq := m.counters(4)
	seq = append(seq, func() { VPADDD(stepConst.Offset(64*3), ctr, ctr) })
	for r := 1; r < m.rounds; r++ {
		for _, s := range st {
			seq = append(seq, func() { VAESENC(rk(r), s, s) })
		}
	}
	for i, s := range st {
		seq = append(seq,
			func() { VAESENCLAST(rk(m.rounds), s, s) },
			func() { VPXORQ(Mem{Base: m.in, Disp: 64 * i}, s, s) })
	}
	return seq
}

// storeGroup writes st.
func (m *message) storeGroup() {
	for i, s := range st {
		VMOVDQU64(s, Mem{Base: m.dst, Disp: 64 * i})
	}
}

// tail does the last 0 to 256 bytes, the lengths and the tag.
func (m *message) tail() {
	Comment("The last 256 bytes or less; p is the power of the first block.")
	CMPQ(m.n, U8(64))
	JA(LabelRef("two"))
	TESTQ(m.n, m.n)
	JZ(LabelRef("none"))
	m.last(1)
	Label("two")
	CMPQ(m.n, U32(128))
	JA(LabelRef("three"))
	m.last(2)
	Label("three")
	CMPQ(m.n, U32(192))
	JA(LabelRef("four"))
	m.last(3)
	Label("four")
	m.last(4)
	Label("none")
	m.last(0)
}

// last does z registers, the last of them in part, and returns.
func (m *message) last(z int) {
	Comment(fmt.Sprintf("%d registers.", z))
	if z > 0 {
		// BZHI looks at the low byte only, and takes 64 or more as all.
		LEAQ(Mem{Base: m.n, Disp: -64 * (z - 1)}, m.alen)
		m.mask(m.alen)
	}
	// The blocks of zeros behind a short message meet powers past H^1 or
	// the length's, and zero times those is zero.
	load := func(i int, to VecPhysical) {
		from := Mem{Base: m.in, Disp: 64 * i}
		if i == z-1 {
			VMOVDQU8_Z(from, K1, to)
		} else {
			VMOVDQU64(from, to)
		}
	}
	seq := m.counters(z)
	for r := 1; r <= m.rounds; r++ {
		seq = append(seq, func() {
			if r == m.rounds {
				VAESENCLAST(rk(r).AsX(), j0, j0)
			} else {
				VAESENC(rk(r).AsX(), j0, j0)
			}
		})
		for i := range z {
			seq = append(seq, func() {
				if r == m.rounds {
					VAESENCLAST(rk(r), st[i], st[i])
				} else {
					VAESENC(rk(r), st[i], st[i])
				}
			})
		}
	}
	hashes := func(i int, d VecPhysical) []func() {
		s := []func(){func() { VPSHUFB(swap, d, t0) }}
		if i == 0 {
			s = append(s, takeAcc(t0)...)
		}
		return append(s, multiply(t0, Mem{Base: m.p, Disp: 64 * i})...)
	}
	store := func(i int) {
		to := Mem{Base: m.dst, Disp: 64 * i}
		if i == z-1 {
			VMOVDQU8(st[i], K1, to)
		} else {
			VMOVDQU64(st[i], to)
		}
	}
	sum := multiplyLens(m.key)
	if m.open {
		for i := range z {
			sum = append(sum, func() { load(i, t0) })
			sum = append(sum, hashes(i, t0)...)
		}
		sum = append(sum, reduce()...)
		weave(seq, sum)
		for i := range z {
			load(i, t0)
			VPXORQ(t0, st[i], st[i])
		}
	} else {
		weave(seq, sum)
		for i := range z {
			load(i, t0)
			VPXORQ(t0, st[i], st[i])
			store(i)
		}
		for i := range z {
			if i == z-1 {
				VMOVDQU8_Z(st[i], K1, st[i])
			}
			run(hashes(i, st[i]))
		}
		run(reduce())
	}
	a := acc.AsX()
	VPSHUFB(swap.AsX(), a, a)
	VPXORQ(j0, a, a)
	if !m.open {
		VMOVDQU64(a, Mem{Base: m.dst, Index: m.n, Scale: 1})
		VZEROUPPER()
		RET()
		return
	}
	Comment("All 16 bytes of the tag at once; plaintext is written only behind this.")
	VPXORQ(Mem{Base: m.in, Index: m.n, Scale: 1}, a, a)
	VPTESTMQ(a, a, K2)
	KMOVB(K2, m.tmp.(GPPhysical).As32())
	ok, _ := ReturnIndex(0).Resolve()
	TESTL(m.tmp.(GPPhysical).As32(), m.tmp.(GPPhysical).As32())
	bad := fmt.Sprintf("bad%d", z)
	JNZ(LabelRef(bad))
	for i := range z {
		store(i)
	}
	VZEROUPPER()
	MOVB(U8(1), ok.Addr)
	RET()
	Label(bad)
	VZEROUPPER()
	MOVB(U8(0), ok.Addr)
	RET()
}
