package macsec_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

var allSuites = []macsec.Suite{macsec.GCMAES128, macsec.GCMAES256, macsec.GCMAESXPN128, macsec.GCMAESXPN256}

// configs returns every combination that New accepts, by name.
func configs() map[string]macsec.Config {
	all := map[string]macsec.Config{}
	for _, suite := range allSuites {
		c := config(suite, macsec.Standard)
		all[suite.String()] = c
		c.IntegrityOnly = true
		all[suite.String()+" integrity"] = c
		all[suite.String()+" hidden"] = config(suite, macsec.Hidden)
		if suite.XPN() {
			continue
		}
		for _, off := range []int{30, 50} {
			c := config(suite, macsec.Standard)
			c.Offset = off
			all[fmt.Sprintf("%v offset %d", suite, off)] = c
		}
	}
	return all
}

// TestRoundTrip carries frames of every interesting length through every
// configuration, and looks at the bytes between.
func TestRoundTrip(t *testing.T) {
	lengths := []int{1514, 9014, 65535}
	for n := minFrame; n < 140; n++ {
		lengths = append(lengths, n)
	}
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, c)
			want := 32
			if c.Mode == macsec.Hidden {
				want = 46
			}
			if a.Overhead() != want {
				t.Errorf("overhead %d, want %d", a.Overhead(), want)
			}
			for _, n := range lengths {
				plain := frameOf(n, byte(n))
				wire := protect(t, a, plain)
				checkWire(t, c, plain, wire)
				got, sc, r := validate(b, wire)
				if r != counter.None || !bytes.Equal(got, plain) {
					t.Fatalf("%d bytes: %v\n got %x\nwant %x", n, r, got, plain)
				}
				if sc.SCI() != sciA || sc.VTEP() != 7 {
					t.Fatalf("came from %v, VTEP %d", sc.SCI(), sc.VTEP())
				}
			}
			st := b.State()
			if got := st.RxSCs[0].Counters.InPktsOK; got != uint64(len(lengths)) {
				t.Errorf("InPktsOK %d, want %d", got, len(lengths))
			}
			out, in := a.Counters(), st.Counters
			if c.IntegrityOnly && (out.OutPktsProtected != uint64(len(lengths)) || out.OutOctetsProtected != in.InOctetsValidated || out.OutPktsEncrypted != 0) ||
				!c.IntegrityOnly && (out.OutPktsEncrypted != uint64(len(lengths)) || out.OutOctetsEncrypted != in.InOctetsDecrypted || out.OutPktsProtected != 0) {
				t.Errorf("counters %+v and %+v", out, in)
			}
		})
	}
}

// checkWire checks the readable parts of a protected frame and that the rest is
// not.
func checkWire(t *testing.T, c macsec.Config, plain, wire []byte) {
	t.Helper()
	tag := macsec.SecTAG(wire[12:])
	secure, addrs := plain[12:], plain[:12]
	if c.Mode == macsec.Hidden {
		secure, addrs = append([]byte{0x65, 0x58}, plain...), hiddenAddrs[:]
	}
	if !bytes.Equal(wire[:12], addrs) {
		t.Fatalf("addresses %x, want %x", wire[:12], addrs)
	}
	wantTCI, wantSL := macsec.TCISC, 0
	if !c.IntegrityOnly {
		wantTCI |= macsec.TCIE | macsec.TCIC
	}
	if len(secure) < 48 {
		wantSL = len(secure)
	}
	if !tag.Valid() || tag.TCI() != wantTCI || tag.SL() != wantSL || tag.SCI() != c.TxSCI || tag.PN() == 0 {
		t.Fatalf("SecTAG %x: TCI %#x, want %#x; SL %d, want %d", []byte(tag[:16]), tag.TCI(), wantTCI, tag.SL(), wantSL)
	}
	body := wire[28 : len(wire)-16]
	clear := min(c.Offset, len(secure))
	if c.IntegrityOnly {
		clear = len(secure)
	}
	if !bytes.Equal(body[:clear], secure[:clear]) {
		t.Fatalf("the first %d octets are not readable", clear)
	}
	// 8 equal octets by chance: 2^-64.
	for i := clear; i+8 <= len(secure); i += 8 {
		if bytes.Equal(body[i:i+8], secure[i:i+8]) {
			t.Fatalf("octets %d to %d are readable", i, i+7)
		}
	}
	if c.Mode == macsec.Hidden && (bytes.Contains(wire, plain[:6]) || bytes.Contains(wire, plain[6:12])) {
		t.Fatal("a tenant address is readable")
	}
}

// TestEveryBitIsAuthenticated flips each bit of a protected frame in each
// configuration: none may be accepted, and each has one reason.
func TestEveryBitIsAuthenticated(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, c)
			for _, n := range []int{30, 100} {
				wire := protect(t, a, frameOf(n, 1))
				for bit := range len(wire) * 8 {
					bad := clone(wire)
					bad[bit/8] ^= 0x80 >> (bit % 8)
					tenant, _, r := validate(b, bad)
					if r == counter.None || tenant != nil {
						t.Fatalf("%d bytes: bit %d flipped, accepted", n, bit)
					}
				}
				for cut := range len(wire) {
					if _, _, r := validate(b, wire[:cut]); r == counter.None {
						t.Fatalf("cut to %d accepted", cut)
					}
				}
				if _, _, r := validate(b, append(clone(wire), 0)); r == counter.None {
					t.Fatal("accepted with an octet behind")
				}
				if _, _, r := validate(b, wire); r != counter.None {
					t.Fatalf("the frame itself: %v", r)
				}
			}
		})
	}
}

// TestProtectLeavesTheRestOfDst: slots lie back to back.
func TestProtectLeavesTheRestOfDst(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			a, _ := pair(t, c)
			frame := frameOf(100, 5)
			before := clone(frame)
			dst := bytes.Repeat([]byte{0xee}, 400)
			var tx macsec.Tx
			a.BeginTx(&tx, 1)
			n, r := tx.Protect(dst, frame)
			if r != counter.None {
				t.Fatal(r)
			}
			if !bytes.Equal(dst[n:], bytes.Repeat([]byte{0xee}, 400-n)) {
				t.Error("wrote behind the frame")
			}
			if !bytes.Equal(frame, before) {
				t.Error("changed the source")
			}
		})
	}
}

func TestProtectRefuses(t *testing.T) {
	a, _ := pair(t, config(macsec.GCMAES128, macsec.Standard))
	var tx macsec.Tx
	if _, r := tx.Protect(make([]byte, 100), frameOf(20, 0)); r != counter.MACsecNoTxSA {
		t.Errorf("before BeginTx: %v", r)
	}
	a.BeginTx(&tx, 2)
	if _, r := tx.Protect(make([]byte, 100), make([]byte, 13)); r != counter.FrameTooShort {
		t.Errorf("13 bytes: %v", r)
	}
	if _, r := tx.Protect(make([]byte, 20+31), frameOf(20, 0)); r != counter.MACsecTooLong {
		t.Errorf("dst one too small: %v", r)
	}
	if n := a.Counters().OutPktsTooLong; n != 1 {
		t.Errorf("OutPktsTooLong %d", n)
	}
	if next := a.InUse().NextPN(); next != 3 {
		t.Errorf("next PN %d, want 3: two reserved, none used", next)
	}
	a.StopTx()
	if r := a.BeginTx(&tx, 1); r != counter.MACsecNoTxSA {
		t.Errorf("stopped: %v", r)
	}
	if _, r := tx.Protect(make([]byte, 100), frameOf(20, 0)); r != counter.MACsecNoTxSA {
		t.Errorf("stopped: %v", r)
	}
}
