package aead_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
)

// TestWipe: a wiped AEAD seals and opens nothing, alone or in a batch, and the
// key is no longer in its memory where that can be reached.
func TestWipe(t *testing.T) {
	key := bytes.Repeat([]byte{0xa5}, 32)
	made := func(a aead.AEAD, err error) aead.AEAD {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, a := range map[string]aead.AEAD{
		"gcm":              made(aead.NewGCM(key)),
		"gcm, wide":        aead.NewGCMWide(key),
		"gcm, portable":    made(aead.NewGCMPortable(key)),
		"chacha":           made(aead.NewChaCha20Poly1305(key)),
		"chacha, wide":     made(aead.AlwaysWide(key)),
		"chacha, portable": made(aead.Portable(key)),
	} {
		t.Run(name, func(t *testing.T) {
			if a == nil {
				return // not on this processor
			}
			nonce := make([]byte, aead.NonceSize)
			for _, n := range []int{0, 10, 1500, 4000} {
				sealed := make([]byte, n+aead.TagSize)
				if !a.Seal(sealed, nonce, make([]byte, n), nil) || !a.Open(make([]byte, n), nonce, sealed, nil) {
					t.Fatalf("%d bytes: not sealed or opened before", n)
				}
			}
			sealed := make([]byte, 1500+aead.TagSize)
			a.Seal(sealed, nonce, make([]byte, 1500), nil)
			kept := aead.Kept(a)
			if len(kept) == 0 && !strings.HasPrefix(name, "gcm") {
				t.Error("x/crypto keeps its key where Wipe does not reach it")
			}
			for range 2 {
				a.Wipe()
			}
			for _, b := range kept {
				if !bytes.Equal(b, make([]byte, len(b))) {
					t.Errorf("the key is still there: %x", b)
				}
			}
			for _, n := range []int{0, 10, 1500, 4000} {
				dst := make([]byte, n+aead.TagSize)
				if a.Seal(dst, nonce, make([]byte, n), nil) || !bytes.Equal(dst, make([]byte, len(dst))) {
					t.Errorf("%d bytes: sealed with a wiped key", n)
				}
			}
			if a.Open(make([]byte, 1500), nonce, sealed, nil) {
				t.Error("opened with a wiped key")
			}
			ops := make([]aead.Op, 20)
			for _, f := range []func([]aead.Op){a.SealBatch, a.OpenBatch} {
				for i := range ops {
					ops[i] = aead.Op{Dst: make([]byte, 1600), Nonce: nonce, In: sealed, OK: true}
				}
				f(ops)
				for i := range ops {
					if ops[i].OK || !bytes.Equal(ops[i].Dst, make([]byte, 1600)) {
						t.Fatalf("message %d of a batch was worked with a wiped key", i)
					}
				}
			}
		})
	}
}
