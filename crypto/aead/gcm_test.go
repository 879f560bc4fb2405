package aead_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// gcm is one implementation of AES-GCM.
type gcm struct {
	aead.AEAD
	name string
}

// gcmImplementations returns those that this machine has, "portable" always.
func gcmImplementations(t testing.TB, key []byte) []gcm {
	t.Helper()
	p, err := aead.NewGCMPortable(key)
	if err != nil {
		t.Fatal(err)
	}
	all := []gcm{{p, "portable"}}
	if w := aead.NewGCMWide(key); w != nil {
		all = append(all, gcm{w, "wide"})
	}
	return all
}

// standardGCM returns crypto/cipher's, for nonces of 12 bytes.
func standardGCM(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	b, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cipher.NewGCM(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// random returns a source of test data and logs its seed.
func random(t testing.TB) (*rand.Rand, func(n int) []byte) {
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	return rng, func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
}

// compare seals and opens one message with one implementation, disjoint and in
// place, inside of longer buffers whose other bytes must survive. skew is the
// distance of the buffers from a boundary of 64 bytes.
func compare(t testing.TB, impl gcm, std cipher.AEAD, nonce, plain, aad []byte, skew int) {
	t.Helper()
	const rest = 67
	n := len(plain)
	at := func() (whole, part []byte) {
		whole = bytes.Repeat([]byte{0xee}, skew+n+aead.TagSize+rest)
		return whole, whole[skew:]
	}
	untouched := func(what string, whole []byte, from int) {
		t.Helper()
		for i, b := range whole {
			if b != 0xee && (i < skew || i >= skew+from) {
				t.Fatalf("%s: %s of %d bytes wrote at %d", impl.name, what, n, i-skew)
			}
		}
	}
	want := std.Seal(nil, nonce, plain, aad)

	whole, dst := at()
	if !impl.Seal(dst, nonce, plain, aad) || !bytes.Equal(dst[:len(want)], want) {
		t.Fatalf("%s: sealed %d bytes with %d of AAD\n got %x\nwant %x", impl.name, n, len(aad), dst[:len(want)], want)
	}
	untouched("seal", whole, len(want))

	whole, dst = at()
	copy(dst, plain)
	if !impl.Seal(dst, nonce, dst[:n], aad) || !bytes.Equal(dst[:len(want)], want) {
		t.Fatalf("%s: sealed %d bytes in place\n got %x\nwant %x", impl.name, n, dst[:len(want)], want)
	}
	untouched("seal in place", whole, len(want))

	if !impl.Open(dst, nonce, dst[:len(want)], aad) || !bytes.Equal(dst[:n], plain) {
		t.Fatalf("%s: opened %d bytes in place", impl.name, n)
	}
	if !bytes.Equal(dst[n:len(want)], want[n:]) {
		t.Fatalf("%s: opening %d bytes in place wrote on the tag", impl.name, n)
	}
	untouched("open in place", whole, len(want))

	whole, dst = at()
	if !impl.Open(dst, nonce, want, aad) || !bytes.Equal(dst[:n], plain) {
		t.Fatalf("%s: opened %d bytes with %d of AAD", impl.name, n, len(aad))
	}
	untouched("open", whole, n)
}

// TestGCMDifferential compares with crypto/cipher: every length up to several
// groups of the wide code, every length of AAD up to 100 and some long ones.
func TestGCMDifferential(t *testing.T) {
	rng, bytesOf := random(t)
	for _, bits := range []int{128, 256} {
		key := bytesOf(bits / 8)
		std := standardGCM(t, key)
		for _, impl := range gcmImplementations(t, key) {
			t.Run(fmt.Sprintf("%s/%d", impl.name, bits), func(t *testing.T) {
				plain, aad := bytesOf(20000), bytesOf(9000)
				for n := range 4200 + 1 {
					compare(t, impl, std, bytesOf(12), plain[:n], aad[:rng.IntN(100)], rng.IntN(64))
				}
				for a := range 600 {
					compare(t, impl, std, bytesOf(12), plain[:rng.IntN(700)], aad[a:2*a], rng.IntN(64))
				}
				for a := range 100 + 1 {
					for _, n := range []int{0, 1, 15, 16, 17, 46, 64, 240, 255, 256, 257, 272, 511, 512, 513, 1500} {
						compare(t, impl, std, bytesOf(12), plain[:n], aad[:a], rng.IntN(64))
					}
				}
				for _, a := range []int{1023, 1024, 1025, 1500, 8999} {
					for _, n := range []int{0, 1, 256, 257, 1500, 8900, 9000, 16384, 20000} {
						compare(t, impl, std, bytesOf(12), plain[:n], aad[:a], rng.IntN(64))
					}
				}
			})
		}
	}
}

// TestGCMTampering flips one bit in every byte of messages of every code path:
// nothing opens, and what is left in Dst is zero or what was there.
func TestGCMTampering(t *testing.T) {
	_, bytesOf := random(t)
	for _, bits := range []int{128, 256} {
		key := bytesOf(bits / 8)
		for _, impl := range gcmImplementations(t, key) {
			for _, n := range []int{0, 1, 46, 64, 65, 128, 200, 256, 257, 600, 1500} {
				nonce, aad, plain := bytesOf(12), bytesOf(28), bytesOf(n)
				sealed := make([]byte, n+aead.TagSize)
				impl.Seal(sealed, nonce, plain, aad)
				refused := func(what string, i int) {
					dst := make([]byte, n+3)
					dst[n] = 0xee
					if impl.Open(dst, nonce, sealed, aad) {
						t.Fatalf("%s/%d: %d bytes open with byte %d of the %s flipped", impl.name, bits, n, i, what)
					}
					if !bytes.Equal(dst[:n], make([]byte, n)) || dst[n] != 0xee {
						t.Fatalf("%s/%d: %d bytes: output after a failed open", impl.name, bits, n)
					}
					buf := bytes.Clone(sealed)
					if impl.Open(buf, nonce, buf, aad) {
						t.Fatalf("%s/%d: %d bytes open in place", impl.name, bits, n)
					}
					if !bytes.Equal(buf[:n], sealed[:n]) && !bytes.Equal(buf[:n], make([]byte, n)) {
						t.Fatalf("%s/%d: %d bytes: output after a failed open in place", impl.name, bits, n)
					}
				}
				for what, part := range map[string][]byte{"message": sealed, "AAD": aad, "nonce": nonce} {
					for i := range part {
						part[i] ^= 1 << (i % 8)
						refused(what, i)
						part[i] ^= 1 << (i % 8)
					}
				}
				if !impl.Open(make([]byte, n), nonce, sealed, aad) {
					t.Fatalf("%s/%d: %d bytes do not open untouched", impl.name, bits, n)
				}
			}
		}
	}
}

// TestGCMOverlap: every implementation panics for the overlaps that Op forbids,
// and for no others.
func TestGCMOverlap(t *testing.T) {
	for _, impl := range gcmImplementations(t, make([]byte, 16)) {
		nonce := make([]byte, 12)
		buf := make([]byte, 1000)
		for _, tt := range []struct {
			name          string
			dst, in, aad  []byte
			seal, opening bool // whether they panic
		}{
			{"in place", buf[100:], buf[100:200], buf[:100], false, false},
			{"side by side", buf[:116], buf[116:216], buf[216:], false, false},
			{"input behind output", buf[10:], buf[11:111], nil, true, true},
			{"input before output", buf[11:], buf[10:110], nil, true, true},
			{"input's last byte", buf[99:], buf[:100], nil, true, true},
			{"output's last byte", buf[:], buf[115:215], nil, true, false},
			{"AAD's last byte", buf[100:], buf[400:500], buf[90:101], true, true},
			{"AAD behind the part written", buf[:], buf[400:500], buf[116:130], false, false},
			{"AAD in the tag's place", buf[:], buf[400:500], buf[115:130], true, false},
			{"AAD is the output", buf[:], buf[400:500], buf[:10], true, true},
			{"nothing in the output's place", buf[:], buf[5:5], buf[5:5], false, false},
		} {
			t.Run(impl.name+"/"+tt.name, func(t *testing.T) {
				panics := func(f func()) (yes bool) {
					defer func() { yes = recover() != nil }()
					f()
					return
				}
				if got := panics(func() { impl.Seal(tt.dst, nonce, tt.in, tt.aad) }); got != tt.seal {
					t.Errorf("Seal panics: %v", got)
				}
				if got := panics(func() { impl.Open(tt.dst, nonce, tt.in, tt.aad) }); got != tt.opening {
					t.Errorf("Open panics: %v", got)
				}
			})
		}
	}
}

// FuzzGCMDifferential compares every implementation with crypto/cipher.
func FuzzGCMDifferential(f *testing.F) {
	f.Add([]byte("sixteen byte key"), []byte("nonce nonce "), []byte("plain"), []byte("aad"), uint8(0))
	f.Add(bytes.Repeat([]byte{1}, 32), make([]byte, 12), make([]byte, 300), make([]byte, 28), uint8(33))
	f.Add(bytes.Repeat([]byte{2}, 32), make([]byte, 12), make([]byte, 1500), make([]byte, 300), uint8(1))
	f.Fuzz(func(t *testing.T, key, nonce, plain, aad []byte, skew uint8) {
		if len(key) != 16 && len(key) != 32 || len(nonce) != 12 {
			return
		}
		for _, impl := range gcmImplementations(t, key) {
			compare(t, impl, standardGCM(t, key), nonce, plain, aad, int(skew%64))
		}
	})
}

// TestGCMInFIPSMode: in FIPS 140 mode only crypto/cipher, part of the validated
// module, is used, and where nothing else is allowed, caller nonces are not. The
// mode is chosen when a program starts, so this one is started again.
func TestGCMInFIPSMode(t *testing.T) {
	if mode := os.Getenv("AEAD_TEST_FIPS"); mode != "" {
		if !fips140.Enabled() {
			t.Fatal("not in FIPS 140 mode")
		}
		for _, size := range []int{16, 32} {
			if aead.NewGCMWide(make([]byte, size)) != nil {
				t.Error("wide code in FIPS 140 mode")
			}
			if _, err := aead.NewGCM(make([]byte, size)); (err != nil) != (mode == "only") {
				t.Errorf("NewGCM with fips140=%s: %v", mode, err)
			}
		}
		return
	}
	for _, mode := range []string{"on", "only"} {
		t.Run(mode, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestGCMInFIPSMode$", "-test.v")
			cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode, "AEAD_TEST_FIPS="+mode)
			out, err := cmd.CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("--- PASS: TestGCMInFIPSMode")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestGCMNoAllocs covers every implementation, short and long messages, and the
// failing ways.
func TestGCMNoAllocs(t *testing.T) {
	for _, impl := range gcmImplementations(t, make([]byte, 16)) {
		for _, n := range []int{0, 46, 1500} {
			var nonce [aead.NonceSize]byte
			plain, sealed, aad := make([]byte, n), make([]byte, n+aead.TagSize), make([]byte, 28)
			if got := testing.AllocsPerRun(100, func() {
				if !impl.Seal(sealed, nonce[:], plain, aad) || !impl.Open(plain, nonce[:], sealed, aad) {
					t.Fatal("does not open")
				}
				nonce[0]++
				if impl.Open(plain, nonce[:], sealed, aad) || impl.Seal(plain, nonce[:], plain, aad) {
					t.Fatal("opens with another nonce, or seals without room")
				}
			}); got != 0 {
				t.Errorf("%s, %d bytes: %v allocations", impl.name, n, got)
			}
		}
	}
}
