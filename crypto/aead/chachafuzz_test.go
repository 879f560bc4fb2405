package aead_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// FuzzChaChaDifferential: a batch of messages cut from the input, sealed and
// opened by us, judged by x/crypto.
func FuzzChaChaDifferential(f *testing.F) {
	f.Add([]byte("some text to be cut"), uint16(3), uint16(40), uint64(1))
	f.Add(bytes.Repeat([]byte{0xff}, 3000), uint16(1500), uint16(1500), uint64(2))
	f.Add([]byte{}, uint16(0), uint16(17), uint64(3))
	f.Fuzz(func(t *testing.T, text []byte, first, count uint16, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 3))
		as, judge := chachas(t, rng)
		ops := make([]aead.Op, 1+count%48)
		for name, a := range as {
			for i := range ops {
				n := min(int(first), len(text))
				if rng.IntN(4) == 0 {
					n = rng.IntN(len(text) + 1)
				}
				at, aad := rng.IntN(len(text)-n+1), rng.IntN(min(len(text), 40)+1)
				ops[i] = aead.Op{Dst: make([]byte, n+aead.TagSize), Nonce: randomBytes(rng, 12), In: text[at:][:n], AAD: text[:aad]}
			}
			a.SealBatch(ops)
			spoiled := rng.IntN(len(ops) + 1)
			for i := range ops {
				o := &ops[i]
				if !o.OK || !bytes.Equal(o.Dst, judge.Seal(nil, o.Nonce, o.In, o.AAD)) {
					t.Fatalf("%s: message %d of %d bytes, AAD %d, differs", name, i, len(o.In), len(o.AAD))
				}
				o.In, o.Dst = o.Dst, make([]byte, len(o.In))
				if i == spoiled {
					o.In[rng.IntN(len(o.In))] ^= 1 << rng.IntN(8)
				}
			}
			a.OpenBatch(ops)
			for i := range ops {
				o := &ops[i]
				want, err := judge.Open(nil, o.Nonce, o.In, o.AAD)
				if o.OK != (err == nil) || o.OK == (i == spoiled) || o.OK && !bytes.Equal(o.Dst, want) {
					t.Fatalf("%s: message %d of %d bytes: OK %v, judge %v", name, i, len(o.In), o.OK, err)
				}
			}
		}
	})
}
