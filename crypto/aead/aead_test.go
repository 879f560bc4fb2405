package aead_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

type vector struct{ Source, Alg, Key, Nonce, AAD, Plain, Sealed string }

func vectors(t *testing.T) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Vectors) < 15 {
		t.Fatalf("only %d vectors", len(doc.Vectors))
	}
	return doc.Vectors
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, alg string, key []byte) aead.AEAD {
	t.Helper()
	f := aead.NewGCM
	if alg == "chacha20-poly1305" {
		f = aead.NewChaCha20Poly1305
	}
	a, err := f(key)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestVectors runs the published vectors on every implementation.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		key := unhex(t, v.Key)
		all := []gcm{{open(t, v.Alg, key), "used"}}
		if v.Alg == "aes-gcm" {
			all = append(all, gcmImplementations(t, key)...)
		}
		for _, impl := range all {
			t.Run(v.Source+"/"+impl.name, func(t *testing.T) { runVector(t, impl, v) })
		}
	}
}

func runVector(t *testing.T, a aead.AEAD, v vector) {
	nonce, aad, plain, sealed := unhex(t, v.Nonce), unhex(t, v.AAD), unhex(t, v.Plain), unhex(t, v.Sealed)

	// Both directions, into a longer buffer whose rest must survive.
	dst := bytes.Repeat([]byte{0xee}, len(sealed)+5)
	ops := []aead.Op{{Dst: dst, Nonce: nonce, In: plain, AAD: aad}}
	a.SealBatch(ops)
	if !ops[0].OK || !bytes.Equal(dst[:len(sealed)], sealed) {
		t.Errorf("sealed\n got %x\nwant %x", dst[:len(sealed)], sealed)
	}
	if !bytes.Equal(dst[len(sealed):], bytes.Repeat([]byte{0xee}, 5)) {
		t.Error("wrote behind the output")
	}
	ops[0].Dst, ops[0].In = dst, append([]byte(nil), sealed...)
	for i := range dst {
		dst[i] = 0xee
	}
	a.OpenBatch(ops)
	if !ops[0].OK || !bytes.Equal(dst[:len(plain)], plain) {
		t.Errorf("opened\n got %x\nwant %x", dst[:len(plain)], plain)
	}
	if !bytes.Equal(dst[len(plain):], bytes.Repeat([]byte{0xee}, len(dst)-len(plain))) {
		t.Error("wrote behind the output")
	}

	// In place, both ways.
	buf := append(append([]byte(nil), plain...), make([]byte, aead.TagSize)...)
	if !a.Seal(buf, nonce, buf[:len(plain)], aad) || !bytes.Equal(buf, sealed) {
		t.Error("seal in place")
	}
	if !a.Open(buf, nonce, buf, aad) || !bytes.Equal(buf[:len(plain)], plain) {
		t.Error("open in place")
	}
}

// TestOpenRefuses flips every bit of the sealed text, AAD and nonce of one
// message per algorithm; and no plaintext may remain.
func TestOpenRefuses(t *testing.T) {
	for _, alg := range []string{"aes-gcm", "chacha20-poly1305"} {
		a := open(t, alg, make([]byte, 32))
		nonce, aad := []byte("abcdefghijkl"), []byte("header")
		plain := []byte("a message of more than one block of 16 bytes")
		sealed := make([]byte, len(plain)+aead.TagSize)
		a.Seal(sealed, nonce, plain, aad)
		for _, part := range [][]byte{sealed, aad, nonce} {
			for bit := range len(part) * 8 {
				part[bit/8] ^= 1 << (bit % 8)
				dst := make([]byte, len(plain))
				if a.Open(dst, nonce, sealed, aad) {
					t.Fatalf("%s: bit %d accepted", alg, bit)
				}
				if !bytes.Equal(dst, make([]byte, len(plain))) {
					t.Fatalf("%s: output after a failed open: %x", alg, dst)
				}
				part[bit/8] ^= 1 << (bit % 8)
			}
		}
		if !a.Open(make([]byte, len(plain)), nonce, sealed, aad) {
			t.Fatal("the message itself does not open")
		}
	}
}

func TestLengths(t *testing.T) {
	a := open(t, "aes-gcm", make([]byte, 16))
	n := make([]byte, 12)
	for _, tt := range []struct {
		name           string
		dst, nonce, in int
		seal, open     bool
	}{
		{"exact", 32, 12, 16, true, false},
		{"one short", 31, 12, 16, false, false},
		{"nonce short", 64, 11, 16, false, false},
		{"nonce long", 64, 13, 16, false, false},
		{"less than a tag", 64, 12, 15, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst, nonce, in := make([]byte, tt.dst), make([]byte, tt.nonce), make([]byte, tt.in)
			if got := a.Seal(dst, nonce, in, nil); got != tt.seal {
				t.Errorf("Seal: %v", got)
			}
			if got := a.Open(dst, nonce, in, nil); got != tt.open {
				t.Errorf("Open: %v", got)
			}
		})
	}
	sealed := make([]byte, 48)
	a.Seal(sealed, n, make([]byte, 32), nil)
	if a.Open(make([]byte, 31), n, sealed, nil) {
		t.Error("opened into a buffer that is too small")
	}
	for _, l := range []int{0, 15, 17, 24, 31, 33} {
		if _, err := aead.NewGCM(make([]byte, l)); err == nil {
			t.Errorf("AES key of %d bytes accepted", l)
		}
	}
	if _, err := aead.NewChaCha20Poly1305(make([]byte, 16)); err == nil {
		t.Error("ChaCha20 key of 16 bytes accepted")
	}
}

// TestBatchAgainstStandardLibrary compares batches of random messages, some
// spoiled, with crypto/cipher used directly.
func TestBatchAgainstStandardLibrary(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for range 50 {
		key := bytesOf(16 + 16*rng.IntN(2))
		a := open(t, "aes-gcm", key)
		blk, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		std, err := cipher.NewGCM(blk)
		if err != nil {
			t.Fatal(err)
		}
		ops := make([]aead.Op, 1+rng.IntN(20))
		want := make([][]byte, len(ops))
		for i := range ops {
			in := bytesOf(rng.IntN(1600))
			ops[i] = aead.Op{Nonce: bytesOf(12), In: in, AAD: bytesOf(rng.IntN(70)), Dst: make([]byte, len(in)+16)}
			want[i] = in
		}
		a.SealBatch(ops)
		spoiled := make([]bool, len(ops))
		for i := range ops {
			o := &ops[i]
			if !o.OK || !bytes.Equal(o.Dst, std.Seal(nil, o.Nonce, o.In, o.AAD)) {
				t.Fatalf("op %d differs", i)
			}
			o.In, o.Dst = o.Dst, make([]byte, len(want[i]))
			if spoiled[i] = rng.IntN(3) == 0; spoiled[i] {
				o.In[rng.IntN(len(o.In))] ^= 0x40
			}
		}
		a.OpenBatch(ops)
		for i := range ops {
			if ops[i].OK == spoiled[i] {
				t.Fatalf("op %d: OK %v, spoiled %v", i, ops[i].OK, spoiled[i])
			}
			if ops[i].OK && !bytes.Equal(ops[i].Dst, want[i]) {
				t.Fatalf("op %d: wrong plaintext", i)
			}
		}
	}
}

func TestNoAllocs(t *testing.T) {
	for _, alg := range []string{"aes-gcm", "chacha20-poly1305"} {
		a := open(t, alg, make([]byte, 32))
		ops := make([]aead.Op, 4)
		for i := range ops {
			b := make([]byte, 1500)
			ops[i] = aead.Op{Dst: b, In: b[:1400], Nonce: make([]byte, 12), AAD: make([]byte, 28)}
		}
		open := make([]aead.Op, len(ops))
		if n := testing.AllocsPerRun(100, func() {
			a.SealBatch(ops)
			for i := range ops {
				open[i] = ops[i]
				open[i].In = ops[i].Dst[:1416]
			}
			a.OpenBatch(open)
			a.OpenBatch(open) // and the failing way: no longer ciphertext
			if a.Seal(ops[0].Dst[:5], ops[0].Nonce, ops[0].In, nil) {
				t.Fatal("sealed")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", alg, n)
		}
		if open[0].OK {
			t.Errorf("%s: plaintext opened", alg)
		}
	}
}

// FuzzOpen: nothing panics, nothing forged opens, and what was sealed opens.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("nonce nonce "), []byte("aad"), []byte("some plaintext"), uint16(3))
	f.Add([]byte(""), []byte(""), []byte(""), uint16(0))
	f.Fuzz(func(t *testing.T, nonce, aad, msg []byte, flip uint16) {
		for _, alg := range []string{"aes-gcm", "chacha20-poly1305"} {
			a := open(t, alg, bytes.Repeat([]byte{7}, 32))
			if a.Open(make([]byte, len(msg)), nonce, msg, aad) {
				t.Fatal("forged")
			}
			sealed := make([]byte, len(msg)+aead.TagSize)
			if a.Seal(sealed, nonce, msg, aad) != (len(nonce) == aead.NonceSize) {
				t.Fatal("Seal and the nonce's length")
			}
			if len(nonce) != aead.NonceSize {
				continue
			}
			bad := append([]byte(nil), sealed...)
			bad[int(flip)%len(bad)] ^= 1
			if a.Open(bad, nonce, bad, aad) {
				t.Fatal("a flipped bit verifies")
			}
			if !a.Open(sealed, nonce, sealed, aad) || !bytes.Equal(sealed[:len(msg)], msg) {
				t.Fatal("does not open what it sealed")
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, alg := range []string{"aes-gcm", "chacha20-poly1305"} {
		for _, n := range []int{64, 512, 1448} {
			b.Run(alg+"/"+map[int]string{64: "64", 512: "512", 1448: "1448"}[n], func(b *testing.B) {
				a := open(b, alg, make([]byte, 32))
				ops := make([]aead.Op, 32)
				for i := range ops {
					ops[i] = aead.Op{Dst: make([]byte, n+16), In: make([]byte, n), Nonce: make([]byte, 12), AAD: make([]byte, 28)}
				}
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for i := 0; i < b.N; i += len(ops) {
					a.SealBatch(ops)
				}
			})
		}
	}
}
