package noise

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"golang.org/x/crypto/blake2s"
)

// TestLinkLocal: vectors that another implementation of BLAKE2s has made.
func TestLinkLocal(t *testing.T) {
	for key, want := range map[string]string{
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=": "fe80::aa2c:9bea:7084:d935",
		"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=": "fe80::77c:691b:1ae8:d3b2",
	} {
		k, err := ParsePublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.LinkLocal(); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %s", key, got, want)
		}
	}
	// One bit of the key is enough for another address.
	seen := map[netip.Addr]string{}
	for i := range 8 * KeySize {
		var k PublicKey
		k[i/8] = 1 << (i % 8)
		a := k.LinkLocal()
		if was, twice := seen[a]; twice || !netip.MustParsePrefix("fe80::/64").Contains(a) {
			t.Errorf("bit %d: %v, which is also that of %s", i, a, was)
		}
		seen[a] = hex.EncodeToString(k[:])
	}
	if h := blake2s.Sum256(make([]byte, KeySize)); [8]byte(h[:8]) == [8]byte((PublicKey{}).LinkLocal().AsSlice()[8:]) {
		t.Error("the label is not part of the hash")
	}
}
