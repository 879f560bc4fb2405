package macsec_test

import (
	"bytes"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// FuzzValidate: whatever arrives, nothing panics; nothing but a frame that the
// peer sealed is delivered, and that only once; each refusal moves one reason.
func FuzzValidate(f *testing.F) {
	type end struct {
		c    macsec.Config
		a, b *macsec.SecY
	}
	open := func(t testing.TB) []end {
		var ends []end
		for _, c := range []macsec.Config{
			config(macsec.GCMAES128, macsec.Standard),
			config(macsec.GCMAESXPN256, macsec.Hidden),
			func() macsec.Config {
				c := config(macsec.GCMAES256, macsec.Standard)
				c.IntegrityOnly, c.AllowImplicitSCI = true, true
				return c
			}(),
			func() macsec.Config {
				c := config(macsec.GCMAES256, macsec.Standard)
				c.Offset = 30
				return c
			}(),
		} {
			a, b := pair(t, c)
			ends = append(ends, end{c, a, b})
		}
		return ends
	}
	for _, e := range open(f) {
		for _, n := range []int{14, 30, 60, 100} {
			f.Add(protect(f, e.a, frameOf(n, 0)))
		}
	}
	f.Add(mpdu(macsec.TCISC, 1, 1, 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, e := range open(t) {
			// The only frame in the world that is authentic.
			plain := frameOf(60, 0)
			wire := protect(t, e.a, plain)
			for _, in := range [][]byte{frame, wire, wire} {
				tenant, sc, r := validate(e.b, in)
				switch {
				case r == counter.None && (!bytes.Equal(tenant, plain) || sc.SCI() != sciA):
					// The fuzzer may have the seeds' frames, sealed by the
					// same key.
					if !sealedBySeed(e.c, tenant) {
						t.Fatalf("delivered %x from %x", tenant, in)
					}
				case r != counter.None && tenant != nil:
					t.Fatalf("%v and a frame", r)
				}
			}
			if _, _, r := validate(e.b, wire); r != counter.MACsecReplayed {
				t.Fatalf("the peer's frame a third time: %v", r)
			}
		}
	})
}

// sealedBySeed reports whether tenant is one of the seeds' frames.
func sealedBySeed(_ macsec.Config, tenant []byte) bool {
	for _, n := range []int{14, 30, 60, 100} {
		if bytes.Equal(tenant, frameOf(n, 0)) {
			return true
		}
	}
	return false
}

// FuzzCheckMPDU: a valid MPDU has at least one octet of secure data and room for
// tag and ICV, and its SL says the truth.
func FuzzCheckMPDU(f *testing.F) {
	f.Add(mpdu(macsec.TCISC, 0, 1, 48), false)
	f.Add(mpdu(0, 7, 1, 7), true)
	f.Fuzz(func(t *testing.T, b []byte, xpn bool) {
		fault := macsec.CheckMPDU(b, xpn)
		if fault >= macsec.NumTagFaults {
			t.Fatal(fault)
		}
		if fault != macsec.TagOK {
			return
		}
		tag := macsec.SecTAG(b)
		secure := len(b) - tag.Len() - macsec.ICVLen
		if secure < 1 || (secure < 48) != (tag.SL() != 0) || (tag.SL() != 0 && tag.SL() != secure) || (tag.PN() == 0 && !xpn) {
			t.Fatalf("valid, with %d octets secured: %x", secure, b)
		}
		// Put writes the same tag again.
		out := clone(b)
		sci := macsec.SCI{}
		if tag.TCI()&macsec.TCISC != 0 {
			sci = tag.SCI()
		}
		macsec.SecTAG(out).Put(tag.TCI(), secure, uint64(tag.PN()), sci)
		if !bytes.Equal(out[2:], b[2:]) {
			t.Fatalf("read and written again:\n%x\n%x", b, out)
		}
	})
}
