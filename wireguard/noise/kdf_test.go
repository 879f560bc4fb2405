package noise

import (
	"math/rand/v2"
	"testing"

	"golang.zx2c4.com/wireguard/device"
)

// TestKDF compares the key derivation, which is not exported, with wireguard-go's
// on random input. The seed is fixed.
func TestKDF(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var key, a, b, c [32]byte
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		in := make([]byte, r.IntN(80))
		for i := range in {
			in[i] = byte(r.Uint32())
		}
		device.KDF1(&a, key[:], in)
		if got := kdf1(&key, in); got != a {
			t.Fatalf("kdf1(%x, %x) = %x, want %x", key, in, got, a)
		}
		device.KDF2(&a, &b, key[:], in)
		if x, y := kdf2(&key, in); x != a || y != b {
			t.Fatalf("kdf2(%x, %x) differs", key, in)
		}
		device.KDF3(&a, &b, &c, key[:], in)
		if x, y, z := kdf3(&key, in); x != a || y != b || z != c {
			t.Fatalf("kdf3(%x, %x) differs", key, in)
		}
	}
}
