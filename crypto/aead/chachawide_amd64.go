package aead

import (
	"crypto/subtle"
	"encoding/binary"
	"unsafe"
)

// wideMessages is how many messages are worked together: two sets of eight for
// Poly1305, and with 1500 bytes each they fill 25 passes of sixteen lanes.
const wideMessages = 16

// wideMax is the longest message that the wide code takes. x/crypto works the
// longer ones and knows where the block counter ends.
const wideMax = 1 << 30

// wide is ChaCha20-Poly1305 for many messages at once.
type wide struct {
	key      [8]uint32
	portable AEAD // for what is too small or too large
	always   bool // nothing is too small: for tests
	wiped    bool
}

// Wipe implements AEAD.
func (w *wide) Wipe() {
	w.key, w.wiped = [8]uint32{}, true
	w.portable.Wipe()
}

// newChaChaWide returns the wide implementation; portable is one with the same
// key. chachaWideUsable must be true.
func newChaChaWide(key []byte, portable AEAD) AEAD {
	w := &wide{portable: portable}
	for i := range w.key {
		w.key[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return w
}

// group is the scratch for up to sixteen messages. It lives on the stack.
type group struct {
	key *[8]uint32
	n   int // messages
	// Two sets of lanes take turns: one is filled, then the other, which is full,
	// is worked. Worked at once, the kernel would wait for the many small
	// stores that filled it before it can load them as vectors. room has the
	// lanes, which start at a cache line.
	room   [2*unsafe.Sizeof(lanes{})/8 + 7]uint64
	places [2]places
	cur    int  // which one is filled, 0 or 1
	used   int  // its lanes
	full   bool // the other one waits
	msgs   [wideMessages]message
	keys   [wideMessages][32]byte // one-time keys of Poly1305: r, s
	tags   [wideMessages][TagSize]byte
}

// keyBlock is one block of key stream.
type keyBlock [64]byte

// zeroBlock is XORed with where the key stream itself is wanted.
var zeroBlock [64]byte

// Seal implements AEAD.
//
// Hot path: no allocation (TestNoAllocs).
func (w *wide) Seal(dst, nonce, in, aad []byte) bool {
	ops := [1]Op{{Dst: dst, Nonce: nonce, In: in, AAD: aad}}
	if !w.pays(ops[:], wideSeal) {
		return w.portable.Seal(dst, nonce, in, aad)
	}
	w.seal(ops[:])
	return ops[0].OK
}

// Open implements AEAD.
//
// Hot path: no allocation (TestNoAllocs).
func (w *wide) Open(dst, nonce, in, aad []byte) bool {
	ops := [1]Op{{Dst: dst, Nonce: nonce, In: in, AAD: aad}}
	if !w.pays(ops[:], wideOpen) {
		return w.portable.Open(dst, nonce, in, aad)
	}
	w.open(ops[:])
	return ops[0].OK
}

// SealBatch implements AEAD.
func (w *wide) SealBatch(ops []Op) {
	for len(ops) > 0 {
		if w.pays(ops, wideSeal) {
			ops = w.seal(ops)
			continue
		}
		k := min(len(ops), wideMessages)
		w.portable.SealBatch(ops[:k])
		ops = ops[k:]
	}
}

// OpenBatch implements AEAD.
func (w *wide) OpenBatch(ops []Op) {
	for len(ops) > 0 {
		if w.pays(ops, wideOpen) {
			ops = w.open(ops)
			continue
		}
		k := min(len(ops), wideMessages)
		w.portable.OpenBatch(ops[:k])
		ops = ops[k:]
	}
}

// What decides between wide and portable, in ns as measured on a CPU of 3.9 GHz
// for batches of 1 to 8 messages of 64 to 1500 bytes; only the ratios matter.
// Wide code costs wideSeal or wideOpen, and some for each message, for each sixteen
// blocks and for each KiB: a pass takes as long for one block as for sixteen. So
// one message is sealed wide from some 1250 bytes on and opened wide from some
// 2200 on, two from some 500 and 700, three from 54 and some 370, four always.
const (
	wideSeal, wideOpen             = 160, 300
	wideMessage, widePass, wideKiB = 20, 160, 100
	portableMessage, portableKiB   = 110, 420
)

// pays reports whether the first ops, as many as are worked together, are faster
// wide than message by message; fixed is wideSeal or wideOpen. After Wipe nothing
// is.
func (w *wide) pays(ops []Op, fixed int) bool {
	n := min(len(ops), wideMessages)
	if w.wiped {
		return false // the portable one fails
	}
	if w.always || n >= 4 {
		return true
	}
	blocks, bytes := n, 0
	for i := range ops[:n] {
		blocks += (len(ops[i].In) + 63) / 64
		bytes += len(ops[i].In)
	}
	return fixed+n*wideMessage+(blocks+15)/16*widePass+bytes*wideKiB/1024 <
		n*portableMessage+bytes*portableKiB/1024
}

// seal seals the first ops and returns the others.
func (w *wide) seal(ops []Op) []Op {
	var g group
	next := 0
	g.key = &w.key
	for ; next < len(ops) && g.n < wideMessages; next++ {
		o := &ops[next]
		n := len(o.In)
		o.OK = false
		if len(o.Dst) < n+TagSize || len(o.Nonce) != NonceSize {
			continue
		}
		if n+len(o.AAD) > wideMax {
			o.OK = w.portable.Seal(o.Dst, o.Nonce, o.In, o.AAD)
			continue
		}
		checkOverlap(o.Dst[:n+TagSize], o.In, o.AAD)
		g.add(next, o, n)
	}
	if g.n == 0 {
		return ops[next:]
	}
	for i := range g.n {
		g.oneTimeKey(i)
	}
	for i := range g.n {
		g.crypt(&g.msgs[i], 0)
	}
	g.finish()
	for i := 0; i < g.n; i += 8 {
		g.authenticate(i, true)
	}
	for i := range g.n {
		m := &g.msgs[i]
		o := &ops[m.op]
		copy(o.Dst[m.n:m.n+TagSize], g.tags[i][:])
		o.OK = true
	}
	clear(g.keys[:])
	return ops[next:]
}

// open opens the first ops and returns the others. Nothing is decrypted before
// its tag has been verified.
func (w *wide) open(ops []Op) []Op {
	var g group
	next := 0
	g.key = &w.key
	for ; next < len(ops) && g.n < wideMessages; next++ {
		o := &ops[next]
		n := len(o.In) - TagSize
		o.OK = false
		if n < 0 || len(o.Dst) < n || len(o.Nonce) != NonceSize {
			continue
		}
		if n+len(o.AAD) > wideMax {
			o.OK = w.portable.Open(o.Dst, o.Nonce, o.In, o.AAD)
			continue
		}
		checkOverlap(o.Dst[:n], o.In[:n], o.AAD)
		g.add(next, o, n)
	}
	if g.n == 0 {
		return ops[next:]
	}
	for i := range g.n {
		g.oneTimeKey(i)
	}
	// The lanes that the keys leave free make key stream for later.
	var ahead [wideMessages - 1]keyBlock
	var blocks [wideMessages]int // how many of them each message has
	for i := 0; i < g.n && g.used < 16; i++ {
		m := &g.msgs[i]
		blocks[i] = min((m.n+63)/64, 16-g.used)
		for j := range blocks[i] {
			g.lane(m, uint32(1+j), unsafe.Pointer(&zeroBlock), hide(unsafe.Pointer(&ahead[g.used-g.n])), 64)
		}
	}
	g.flush()
	for i := 0; i < g.n; i += 8 {
		g.authenticate(i, false)
	}
	taken := 0
	for i := range g.n {
		m := &g.msgs[i]
		o := &ops[m.op]
		mine := ahead[taken : taken+blocks[i]]
		taken += blocks[i]
		if subtle.ConstantTimeCompare(o.In[m.n:], g.tags[i][:]) != 1 {
			continue
		}
		o.OK = true
		for j := range mine {
			from := 64 * j
			to := min(from+64, m.n)
			subtle.XORBytes(o.Dst[from:to], o.In[from:to], mine[j][:])
		}
		g.crypt(m, min(64*len(mine), m.n))
	}
	g.finish()
	clear(g.keys[:])
	clear(ahead[:])
	return ops[next:]
}

// add takes a message of n bytes, whose lengths have been checked. The nonce is
// read now: nothing has been written that it could lie in.
func (g *group) add(op int, o *Op, n int) {
	m := &g.msgs[g.n]
	g.n++
	m.op, m.n, m.aad = op, n, o.AAD
	m.text, m.out = unsafe.Pointer(unsafe.SliceData(o.In)), unsafe.Pointer(unsafe.SliceData(o.Dst))
	m.nonce[0] = binary.LittleEndian.Uint32(o.Nonce)
	m.nonce[1] = binary.LittleEndian.Uint32(o.Nonce[4:])
	m.nonce[2] = binary.LittleEndian.Uint32(o.Nonce[8:])
}

// lanes returns set i of lanes. A stack that moves keeps its alignment.
func (g *group) lanes(i int) (*lanes, *places) {
	at := -uintptr(unsafe.Pointer(&g.room)) & 56
	at += uintptr(i&1) * unsafe.Sizeof(lanes{})
	return (*lanes)(unsafe.Add(unsafe.Pointer(&g.room), at)), &g.places[i&1]
}

// next returns the set of lanes that is filled, which has room.
func (g *group) next() (*lanes, *places) {
	if g.used == 16 {
		if g.full {
			l, p := g.lanes(g.cur ^ 1)
			chachaLanes(g.key, l, p, 16)
		}
		g.cur ^= 1
		g.used, g.full = 0, true
	}
	return g.lanes(g.cur)
}

// lane adds one block, of which size bytes, 1 to 64, are wanted.
func (g *group) lane(m *message, counter uint32, src, dst unsafe.Pointer, size int) {
	l, p := g.next()
	i := g.used & 15
	g.used++
	l.counter[i] = counter
	l.nonce[0][i], l.nonce[1][i], l.nonce[2][i] = m.nonce[0], m.nonce[1], m.nonce[2]
	l.mask[i] = ^uint64(0) >> (uint(64-size) & 63)
	p.src[i], p.dst[i] = src, dst
}

// flush makes the blocks that have been added.
func (g *group) flush() {
	if g.full {
		l, p := g.lanes(g.cur ^ 1)
		chachaLanes(g.key, l, p, 16)
		g.full = false
	}
	if g.used > 0 {
		l, p := g.lanes(g.cur)
		chachaLanes(g.key, l, p, g.used)
		g.used = 0
	}
}

// finish does what crypt has left to do.
func (g *group) finish() {
	chachaRuns(g.key, &g.msgs[0], g.n)
	g.flush()
}

// oneTimeKey adds block 0 of message i: RFC 8439 section 2.6.
func (g *group) oneTimeKey(i int) {
	g.lane(&g.msgs[i], 0, unsafe.Pointer(&zeroBlock), hide(unsafe.Pointer(&g.keys[i])), 32)
}

// hide returns p and hides from the compiler where it comes from. A group that
// points into itself would be put on the heap. On the stack, where it is, the
// pointer is as good: when the stack moves, it is adjusted like any other.
//
//go:nosplit
func hide(p unsafe.Pointer) unsafe.Pointer {
	x := uintptr(p)
	return *(*unsafe.Pointer)(unsafe.Pointer(&x))
}

// crypt has message m XORed with its key stream, from byte at on, a multiple of
// 64 or the end: whole KiB by chachaRuns, the rest as lanes. finish does it.
func (g *group) crypt(m *message, at int) {
	if m.kib = (m.n - at) >> 10; m.kib > 0 {
		m.src, m.dst, m.counter = unsafe.Add(m.text, at), unsafe.Add(m.out, at), uint32(1+at/64)
		at += m.kib << 10
	}
	// No pointer is ever made that points behind a buffer.
	for at < m.n {
		src, dst, counter := unsafe.Add(m.text, at), unsafe.Add(m.out, at), uint32(1+at/64)
		if left := m.n - at; left <= 64 {
			g.lane(m, counter, src, dst, left)
			return
		}
		l, p := g.next()
		from := g.used & 15
		k := min((m.n-at+63)/64, 16-from)
		lanesFill(l, p, from, k, &m.nonce, counter, src, dst)
		g.used += k
		at += 64 * k
		if over := at - m.n; over > 0 { // the last block is not whole
			l.mask[(from+k-1)&15] = ^uint64(0) >> (uint(over) & 63)
		}
	}
}
