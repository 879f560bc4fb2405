package aead_test

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ztos/ztos/crypto/aead"
)

// chachas returns our implementations and x/crypto as the judge, with one
// random key.
func chachas(t testing.TB, rng *rand.Rand) (map[string]aead.AEAD, cipher.AEAD) {
	t.Helper()
	key := randomBytes(rng, 32)
	judge, err := chacha20poly1305.New(key)
	if err != nil {
		t.Fatal(err)
	}
	portable, err := aead.Portable(key)
	if err != nil {
		t.Fatal(err)
	}
	always, err := aead.AlwaysWide(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]aead.AEAD{
		"chosen":   open(t, "chacha20-poly1305", key),
		"wide":     always,
		"portable": portable,
	}, judge
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// pad is how much of a buffer around a message must survive.
const pad = 80

// letter is one message of a differential test: where it lies, and what must
// come of it.
type letter struct {
	plain, sealed []byte
	buf           []byte // the room that Dst is cut from
	at            int    // where Dst starts in buf
	spoiled       bool
}

// prepare makes an Op that seals or opens message in, in place or from another
// buffer, at any alignment. The room around Dst is filled with 0xa5.
func (l *letter) prepare(rng *rand.Rand, in []byte, out int, op *aead.Op) {
	size := max(len(in), out)
	l.at = pad + rng.IntN(64)
	l.buf = bytes.Repeat([]byte{0xa5}, l.at+size+pad)
	// Dst may be longer than needed, as long as one likes.
	op.Dst = l.buf[l.at : l.at+out+rng.IntN(pad)]
	if rng.IntN(2) == 0 {
		copy(l.buf[l.at:], in)
		op.In = l.buf[l.at:][:len(in)]
		return
	}
	from := rng.IntN(64)
	op.In = append(make([]byte, from), in...)[from:]
}

// intact reports whether nothing but want and what lay at the place of an input
// of n bytes is around Dst.
func (l *letter) intact(want []byte, n int) error {
	if got := l.buf[l.at:][:len(want)]; !bytes.Equal(got, want) {
		return fmt.Errorf("output\n got %x\nwant %x", got, want)
	}
	if bytes.Count(l.buf[:l.at], []byte{0xa5}) != l.at {
		return fmt.Errorf("wrote in front of Dst")
	}
	end := l.at + max(n, len(want))
	if bytes.Count(l.buf[end:], []byte{0xa5}) != len(l.buf)-end {
		return fmt.Errorf("wrote behind the output")
	}
	return nil
}

// judgeBatch seals and opens messages of the given sizes in one batch, a few of
// them spoiled on the way if spoil says so, and compares with x/crypto.
func judgeBatch(t *testing.T, rng *rand.Rand, a aead.AEAD, judge cipher.AEAD, sizes, aads []int, spoil bool) {
	t.Helper()
	ops, letters := make([]aead.Op, len(sizes)), make([]letter, len(sizes))
	for i := range ops {
		o, l := &ops[i], &letters[i]
		o.Nonce, o.AAD = randomBytes(rng, aead.NonceSize), randomBytes(rng, aads[i])
		l.plain = randomBytes(rng, sizes[i])
		l.sealed = judge.Seal(nil, o.Nonce, l.plain, o.AAD)
		l.prepare(rng, l.plain, len(l.sealed), o)
	}
	a.SealBatch(ops)
	for i := range ops {
		if !ops[i].OK {
			t.Fatalf("sizes %v: message %d not sealed", sizes, i)
		}
		if err := letters[i].intact(letters[i].sealed, 0); err != nil {
			t.Fatalf("sizes %v AAD %v: sealed message %d: %v", sizes, aads, i, err)
		}
	}
	before := make([][]byte, len(ops))
	for i := range ops {
		o, l := &ops[i], &letters[i]
		in := bytes.Clone(l.sealed)
		if l.spoiled = spoil && rng.IntN(4) == 0; l.spoiled {
			switch k := rng.IntN(3); {
			case k == 0 && len(o.AAD) > 0:
				o.AAD[rng.IntN(len(o.AAD))] ^= 1 << rng.IntN(8)
			case k == 1:
				in[len(in)-1-rng.IntN(aead.TagSize)] ^= 1 << rng.IntN(8)
			default:
				in[rng.IntN(len(in))] ^= 1 << rng.IntN(8)
			}
		}
		l.prepare(rng, in, len(l.plain), o)
		before[i] = bytes.Clone(l.buf)
	}
	a.OpenBatch(ops)
	for i := range ops {
		o, l := &ops[i], &letters[i]
		if o.OK == l.spoiled {
			t.Fatalf("sizes %v: message %d: OK %v, spoiled %v", sizes, i, o.OK, l.spoiled)
		}
		if l.spoiled {
			n := len(l.plain)
			place := l.buf[l.at:][:n]
			if !bytes.Equal(place, make([]byte, n)) && !bytes.Equal(place, before[i][l.at:][:n]) {
				t.Fatalf("sizes %v: message %d failed and left %x", sizes, i, place)
			}
			continue
		}
		if err := l.intact(l.plain, len(l.sealed)); err != nil {
			t.Fatalf("sizes %v AAD %v: opened message %d: %v", sizes, aads, i, err)
		}
	}
}

// TestChaChaEveryLength: every length up to 4200, in batches of equal messages,
// of equal ones with a shorter last, of neighbours, and of any.
func TestChaChaEveryLength(t *testing.T) {
	rng := seeded(t)
	as, judge := chachas(t, rng)
	for name, a := range as {
		for n := range 4201 {
			sizes := make([]int, 1+rng.IntN(5))
			if n%16 == 0 {
				sizes = make([]int, 1+rng.IntN(40))
			}
			shape := rng.IntN(4)
			for i := range sizes {
				switch shape {
				case 0, 1:
					sizes[i] = n
				case 2:
					sizes[i] = n + i
				case 3:
					sizes[i] = rng.IntN(n + 1)
				}
			}
			sizes[0] = n
			if shape == 1 {
				sizes[len(sizes)-1] = rng.IntN(n + 1)
			}
			judgeBatch(t, rng, a, judge, sizes, make([]int, len(sizes)), n%2 == 0)
			judgeBatch(t, rng, a, judge, []int{n}, []int{0}, false)
		}
		t.Log(name)
	}
}

// TestChaChaAAD: every AAD length up to 64 and some large ones, in batches where
// some messages have none.
func TestChaChaAAD(t *testing.T) {
	rng := seeded(t)
	as, judge := chachas(t, rng)
	lengths := []int{127, 128, 129, 1000, 1024, 4095, 70000}
	for n := range 65 {
		lengths = append(lengths, n)
	}
	for _, a := range as {
		for _, n := range lengths {
			for range 4 {
				sizes := make([]int, 1+rng.IntN(20))
				aads := make([]int, len(sizes))
				for i := range sizes {
					sizes[i] = rng.IntN(300)
					if rng.IntN(3) != 0 {
						aads[i] = n
					}
				}
				judgeBatch(t, rng, a, judge, sizes, aads, true)
			}
		}
	}
}

// TestChaChaMixes: batches of what real ones hold: keepalives, small and large
// messages, and some far larger.
func TestChaChaMixes(t *testing.T) {
	rng := seeded(t)
	as, judge := chachas(t, rng)
	usual := []int{0, 1, 16, 32, 64, 96, 100, 128, 576, 1024, 1025, 1420, 1452, 1500, 2048, 8900, 65000}
	for _, a := range as {
		for range 150 {
			sizes := make([]int, 1+rng.IntN(50))
			for i := range sizes {
				sizes[i] = usual[rng.IntN(len(usual)-rng.IntN(3))]
			}
			judgeBatch(t, rng, a, judge, sizes, make([]int, len(sizes)), true)
		}
	}
}

// TestChaChaTamper spoils the tag, the ciphertext or the AAD of each message of a
// batch in turn: that one fails, and only that one.
func TestChaChaTamper(t *testing.T) {
	rng := seeded(t)
	as, _ := chachas(t, rng)
	for name, a := range as {
		for _, size := range []int{1, 64, 100, 1452} {
			const n = 19
			ops := make([]aead.Op, n)
			plain := make([][]byte, n)
			for i := range ops {
				plain[i] = randomBytes(rng, size)
				ops[i] = aead.Op{Dst: make([]byte, size+aead.TagSize), Nonce: randomBytes(rng, 12), In: plain[i], AAD: randomBytes(rng, 20)}
			}
			a.SealBatch(ops)
			for i := range ops {
				ops[i].In, ops[i].Dst = ops[i].Dst, make([]byte, size)
			}
			for at := range ops {
				o := &ops[at]
				for _, part := range [][]byte{o.In[:size], o.In[size:], o.AAD, o.Nonce} {
					bit := rng.IntN(8 * len(part))
					part[bit/8] ^= 1 << (bit % 8)
					for i := range ops {
						clear(ops[i].Dst)
					}
					a.OpenBatch(ops)
					for i := range ops {
						if ops[i].OK != (i != at) {
							t.Fatalf("%s: size %d: message %d spoiled, message %d OK %v", name, size, at, i, ops[i].OK)
						}
						want := plain[i]
						if i == at {
							want = make([]byte, size)
						}
						if !bytes.Equal(ops[i].Dst, want) {
							t.Fatalf("%s: size %d: message %d spoiled, message %d has the wrong output", name, size, at, i)
						}
					}
					part[bit/8] ^= 1 << (bit % 8)
				}
			}
		}
	}
}

// TestChaChaMisfits: messages whose lengths do not fit fail, with Dst untouched,
// and the others of their batch do not.
func TestChaChaMisfits(t *testing.T) {
	rng := seeded(t)
	as, judge := chachas(t, rng)
	for name, a := range as {
		for _, size := range []int{0, 100, 1500} {
			fill := func(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }
			nonce, in := randomBytes(rng, 12), randomBytes(rng, size)
			sealed := judge.Seal(nil, nonce, in, nil)
			good := func(open bool) aead.Op {
				if open {
					return aead.Op{Dst: fill(size), Nonce: nonce, In: sealed}
				}
				return aead.Op{Dst: fill(size + 16), Nonce: nonce, In: in}
			}
			bad := func(open bool) []aead.Op {
				o := good(open)
				short, long, none, small, tiny := o, o, o, o, o
				short.Nonce, long.Nonce, none.Nonce = nonce[:11], make([]byte, 13), nil
				small.Dst = small.Dst[:max(len(small.Dst)-1, 0)]
				tiny.In = make([]byte, 15)
				out := []aead.Op{short, long, none}
				if !open || size > 0 {
					out = append(out, small)
				}
				if open {
					out = append(out, tiny)
				}
				for i := range out {
					out[i].Dst = bytes.Clone(out[i].Dst)
				}
				return out
			}
			for _, open := range []bool{false, true} {
				do, want := a.SealBatch, sealed
				if open {
					do, want = a.OpenBatch, in
				}
				var ops []aead.Op
				for _, b := range bad(open) {
					b.OK = true
					ops = append(ops, good(open), b)
				}
				do(ops)
				for i := range ops {
					if ops[i].OK != (i%2 == 0) {
						t.Errorf("%s: size %d open %v: op %d: OK %v", name, size, open, i, ops[i].OK)
					}
					if i%2 == 0 && !bytes.Equal(ops[i].Dst, want) {
						t.Errorf("%s: size %d open %v: op %d: wrong output", name, size, open, i)
					}
					if i%2 == 1 && !bytes.Equal(ops[i].Dst, fill(len(ops[i].Dst))) {
						t.Errorf("%s: size %d open %v: op %d failed and wrote", name, size, open, i)
					}
				}
			}
		}
	}
}

// TestChaChaOverlap: the overlaps that Op forbids panic, alone and in a batch,
// before anything of that message is written.
func TestChaChaOverlap(t *testing.T) {
	rng := seeded(t)
	as, _ := chachas(t, rng)
	for name, a := range as {
		for _, size := range []int{40, 1500} {
			for _, tt := range []struct {
				name  string
				dst   int // where Dst starts; In starts at 100
				aad   int // where AAD starts, 10 bytes
				panic bool
			}{
				{"in place", 100, 0, false},
				{"one behind", 101, 0, true},
				{"one before", 99, 0, true},
				{"Dst ends in In", 100 - size - 15, -1, true},
				{"Dst ends at In", 100 - size - 16, -1, false},
				{"AAD in the output", 100, 130, true},
				{"AAD in the tag", 100, 100 + size + 15, true},
				{"AAD behind the tag", 100, 100 + size + 16, false},
			} {
				const base = 2000
				buf := randomBytes(rng, 8000)
				op := aead.Op{Dst: buf[base+tt.dst:], Nonce: make([]byte, 12), In: buf[base+100:][:size]}
				if tt.aad >= 0 {
					op.AAD = buf[base+tt.aad:][:10]
				}
				before := bytes.Clone(buf)
				for _, n := range []int{1, 9} {
					ops := make([]aead.Op, n)
					for i := range ops {
						ops[i] = aead.Op{Dst: make([]byte, size+16), Nonce: make([]byte, 12), In: make([]byte, size)}
					}
					ops[n/2] = op
					copy(buf, before)
					got := panics(func() { a.SealBatch(ops) })
					if got != tt.panic {
						t.Errorf("%s: size %d: %s, batch of %d: panic %v", name, size, tt.name, n, got)
					}
					if got && !bytes.Equal(buf, before) {
						t.Errorf("%s: size %d: %s, batch of %d: wrote before it panicked", name, size, tt.name, n)
					}
				}
			}
			// Opening: the tag behind In is not part of what may not overlap
			// with an output that starts elsewhere.
			buf := randomBytes(rng, 8000)
			if !panics(func() { a.Open(buf[101:], make([]byte, 12), buf[100:][:size+16], nil) }) {
				t.Errorf("%s: size %d: opened one byte behind itself", name, size)
			}
			if !panics(func() { a.Open(buf[100:], make([]byte, 12), buf[100:][:size+16], buf[99+size:][:4]) }) {
				t.Errorf("%s: size %d: opened over its AAD", name, size)
			}
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// TestChaChaConcurrent: one AEAD in several goroutines at once.
func TestChaChaConcurrent(t *testing.T) {
	seed := seeded(t)
	as, judge := chachas(t, seed)
	for _, a := range as {
		var wg sync.WaitGroup
		for range 4 {
			rng := rand.New(rand.NewPCG(seed.Uint64(), 2))
			wg.Go(func() {
				for range 60 {
					sizes := make([]int, 1+rng.IntN(20))
					for i := range sizes {
						sizes[i] = rng.IntN(1600)
					}
					ops := make([]aead.Op, len(sizes))
					for i, n := range sizes {
						ops[i] = aead.Op{Dst: make([]byte, n+16), Nonce: randomBytes(rng, 12), In: randomBytes(rng, n)}
					}
					a.SealBatch(ops)
					for i := range ops {
						if want := judge.Seal(nil, ops[i].Nonce, ops[i].In, nil); !ops[i].OK || !bytes.Equal(ops[i].Dst, want) {
							t.Errorf("message %d of %v differs", i, sizes)
							return
						}
					}
				}
			})
		}
		wg.Wait()
	}
}

// deep calls f with n more frames of 64 bytes and a little on the stack.
//
//go:noinline
func deep(n int, f func()) byte {
	if n == 0 {
		f()
		return 0
	}
	var frame [64]byte
	frame[n%64] = deep(n-1, f)
	return frame[(n+1)%64]
}

// TestChaChaStackMoves: the scratch is on the stack and points into itself. Fresh
// goroutines of every depth make the stack grow, and so move, in every call that
// can make it grow.
func TestChaChaStackMoves(t *testing.T) {
	rng := seeded(t)
	as, judge := chachas(t, rng)
	for name, a := range as {
		for depth := range 250 {
			ops := make([]aead.Op, 1+rng.IntN(17))
			want := make([][]byte, len(ops))
			for i := range ops {
				ops[i] = aead.Op{Dst: make([]byte, 1416), Nonce: randomBytes(rng, 12), In: randomBytes(rng, 1400)}
				want[i] = judge.Seal(nil, ops[i].Nonce, ops[i].In, nil)
			}
			var wg sync.WaitGroup
			wg.Go(func() { deep(depth, func() { a.SealBatch(ops) }) })
			wg.Wait()
			for i := range ops {
				if !ops[i].OK || !bytes.Equal(ops[i].Dst, want[i]) {
					t.Fatalf("%s: depth %d: message %d of %d differs", name, depth, i, len(ops))
				}
				ops[i].Dst, ops[i].In = make([]byte, 1400), ops[i].Dst
			}
			wg.Go(func() { deep(depth, func() { a.OpenBatch(ops) }) })
			wg.Wait()
			for i := range ops {
				if !ops[i].OK {
					t.Fatalf("%s: depth %d: message %d of %d does not open", name, depth, i, len(ops))
				}
			}
		}
	}
}

// TestChaChaNoAllocs: batches of every kind, good, spoiled and misfitting.
func TestChaChaNoAllocs(t *testing.T) {
	rng := seeded(t)
	as, _ := chachas(t, rng)
	for name, a := range as {
		for _, size := range []int{0, 64, 1452, 8900} {
			for _, n := range []int{1, 2, 7, 40} {
				ops, back := make([]aead.Op, n), make([]aead.Op, n)
				for i := range ops {
					b := make([]byte, size+aead.TagSize)
					ops[i] = aead.Op{Dst: b, In: b[:size], Nonce: make([]byte, 12), AAD: make([]byte, i%3)}
					back[i] = ops[i]
					back[i].In = b
				}
				ops[n-1].Nonce = nil
				if got := testing.AllocsPerRun(20, func() {
					a.SealBatch(ops)
					a.OpenBatch(back)
					a.OpenBatch(back) // no longer ciphertext
					a.Seal(ops[0].Dst, ops[0].Nonce, ops[0].In, nil)
					a.Open(ops[0].Dst, ops[0].Nonce, back[0].In, nil)
				}); got != 0 {
					t.Errorf("%s: size %d batch of %d: %v allocations", name, size, n, got)
				}
			}
		}
	}
}
