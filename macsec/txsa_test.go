package macsec_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ztos/ztos/crypto/replay"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// TestGrant: numbers are used up to the granted limit and not beyond it, a
// refused burst burns none, and an extension goes on where it stopped.
func TestGrant(t *testing.T) {
	s := newSecY(t, config(macsec.GCMAES128, macsec.Standard))
	c := txConfig(macsec.GCMAES128, 0, sak(macsec.GCMAES128, 1))
	c.StartPN, c.Granted = 100, 0
	sa := installTx(t, s, c)
	must(t, s.UseAN(0))
	var tx macsec.Tx
	if r := s.BeginTx(&tx, 1); r != counter.MACsecPNExhausted {
		t.Fatalf("nothing granted: %v", r)
	}
	sa.Extend(110)
	sa.Extend(105) // a lower limit changes nothing
	if sa.Granted() != 110 {
		t.Fatalf("granted %d", sa.Granted())
	}
	for range 5 {
		if r := s.BeginTx(&tx, 11); r != counter.MACsecPNExhausted {
			t.Fatalf("11 of 10: %v", r)
		}
	}
	if sa.NextPN() != 100 {
		t.Fatalf("refused bursts burnt numbers: next %d", sa.NextPN())
	}
	if r := s.BeginTx(&tx, 9); r != counter.None {
		t.Fatal(r)
	}
	dst := make([]byte, 200)
	for i := range 12 {
		n, r := tx.Protect(dst, frameOf(60, 0))
		if want := i < 10; (r == counter.None) != want {
			t.Fatalf("frame %d: %v", i, r) // the tenth takes one for itself
		}
		if r == counter.None {
			if pn := macsec.SecTAG(dst[12:n]).PN(); pn != uint32(100+i) {
				t.Fatalf("frame %d has PN %d", i, pn)
			}
		} else if r != counter.MACsecPNExhausted {
			t.Fatal(r)
		}
	}
	sa.Extend(macsec.Unlimited)
	if r := s.BeginTx(&tx, 1); r != counter.None || sa.NextPN() != 111 {
		t.Errorf("after the extension: %v, next %d", r, sa.NextPN())
	}
	tx.FlushCounters()
	if sa.OutPkts() != 10 || s.Counters().OutPktsEncrypted != 10 {
		t.Errorf("OutPkts %d", sa.OutPkts())
	}
}

// TestLastPN: the last numbers of each suite are used once, the soft limit is
// reported once, and then nothing goes any more.
func TestLastPN(t *testing.T) {
	for _, suite := range allSuites {
		soft, end := uint64(0xc0000000), uint64(1)<<32
		if suite.XPN() {
			soft, end = 0xc000000000000000, replay.MaxNumber+1
		}
		s := newSecY(t, config(suite, macsec.Standard))
		c := txConfig(suite, 0, sak(suite, 1))
		c.StartPN = soft - 2
		sa := installTx(t, s, c)
		if sa.Granted() != end {
			t.Errorf("%v: granted %d, want %d", suite, sa.Granted(), end)
		}
		sa.Reserve(2)
		if sa.SoftLimitReached() || sa.TakeSoftLimit() {
			t.Errorf("%v: soft limit before its number", suite)
		}
		sa.Reserve(1)
		if !sa.SoftLimitReached() || !sa.TakeSoftLimit() || sa.TakeSoftLimit() || !sa.SoftLimitReached() {
			t.Errorf("%v: the soft limit is not reported once", suite)
		}
		sa.Reserve(1)
		if sa.TakeSoftLimit() {
			t.Errorf("%v: the soft limit is reported twice", suite)
		}

		c = txConfig(suite, 1, sak(suite, 2))
		c.StartPN = end - 3
		sa = installTx(t, s, c)
		must(t, s.UseAN(1))
		if _, ok := sa.Reserve(4); ok {
			t.Errorf("%v: 4 of 3 numbers", suite)
		}
		if first, ok := sa.Reserve(2); !ok || first != end-3 {
			t.Errorf("%v: %d %v", suite, first, ok)
		}
		if wire := protect(t, s, frameOf(60, 0)); macsec.SecTAG(wire[12:]).PN() != uint32(end-1) {
			t.Errorf("%v: the last PN is not used", suite)
		}
		var tx macsec.Tx
		for range 3 {
			if r := s.BeginTx(&tx, 1); r != counter.MACsecPNExhausted {
				t.Errorf("%v: beyond the last: %v", suite, r)
			}
		}
		if sa.NextPN() != end {
			t.Errorf("%v: next %d", suite, sa.NextPN())
		}
		for _, n := range []int{0, -1} {
			if _, ok := sa.Reserve(n); ok {
				t.Errorf("%v: Reserve(%d)", suite, n)
			}
		}
	}
}

// TestXPNAcrossEpochs: the lower half wraps on the wire, reordered around the
// border.
func TestXPNAcrossEpochs(t *testing.T) {
	suite := macsec.GCMAESXPN256
	a, b := newSecY(t, config(suite, macsec.Standard)), newSecY(t, func() macsec.Config {
		c := config(suite, macsec.Standard)
		c.TxSCI = sciB
		return c
	}())
	tc := txConfig(suite, 0, sak(suite, 1))
	tc.StartPN = 7<<32 - 5
	installTx(t, a, tc)
	must(t, a.UseAN(0))
	rc := rxConfig(suite, 0, sak(suite, 1))
	rc.LowestPN = 7<<32 - 400
	addRx(t, b, sciA, rc)
	var held [][]byte
	for range 10 {
		held = append(held, protect(t, a, frameOf(60, 0)))
	}
	for _, i := range []int{0, 6, 2, 5, 4, 9, 1, 3, 7, 8} {
		if _, _, r := validate(b, held[i]); r != counter.None {
			t.Errorf("frame %d, PN %#x on the wire: %v", i, macsec.SecTAG(held[i][12:]).PN(), r)
		}
		if _, _, r := validate(b, held[i]); r != counter.MACsecReplayed {
			t.Errorf("frame %d again: %v", i, r)
		}
	}
	if n := b.State().RxSCs[0].SAs[0].NextPN; n != 7<<32+5 {
		t.Errorf("next PN %#x", n)
	}
}

func TestInstallTxSAErrors(t *testing.T) {
	const g = macsec.GCMAES128
	x := macsec.GCMAESXPN128
	key := sak(g, 1)
	good := txConfig(g, 1, key)
	goodX := txConfig(x, 1, key)
	with := func(c macsec.TxSAConfig, f func(*macsec.TxSAConfig)) macsec.TxSAConfig { f(&c); return c }
	for _, tt := range []struct {
		name  string
		suite macsec.Suite
		c     macsec.TxSAConfig
		want  error
	}{
		{"good", g, good, nil},
		{"AN 4", g, with(good, func(c *macsec.TxSAConfig) { c.AN = 4 }), macsec.ErrAN},
		{"no key", g, with(good, func(c *macsec.TxSAConfig) { c.SAK = secret.Key{} }), macsec.ErrKey},
		{"long key", g, with(good, func(c *macsec.TxSAConfig) { c.SAK = sak(macsec.GCMAES256, 1) }), macsec.ErrKey},
		{"salt without XPN", g, with(good, func(c *macsec.TxSAConfig) { c.Salt = goodX.Salt }), macsec.ErrKey},
		{"SSCI without XPN", g, with(good, func(c *macsec.TxSAConfig) { c.SSCI = 1 }), macsec.ErrKey},
		{"start beyond the end", g, with(good, func(c *macsec.TxSAConfig) { c.StartPN = 1<<32 + 1 }), macsec.ErrStartPN},
		{"start at the end", g, with(good, func(c *macsec.TxSAConfig) { c.StartPN = 1 << 32 }), nil},
		{"AN in use", g, with(good, func(c *macsec.TxSAConfig) { c.AN, c.SAK = 0, sak(g, 9) }), macsec.ErrANInUse},
		{"key on two ANs", g, with(good, func(c *macsec.TxSAConfig) { c.SAK = sak(g, 2) }), macsec.ErrKeyReuse},
		{"XPN good", x, goodX, nil},
		{"XPN without salt", x, with(goodX, func(c *macsec.TxSAConfig) { c.Salt = secret.Key{} }), macsec.ErrKey},
		{"XPN with half a salt", x, with(goodX, func(c *macsec.TxSAConfig) { c.Salt = secret.New(make([]byte, 6)) }), macsec.ErrKey},
		{"XPN without SSCI", x, with(goodX, func(c *macsec.TxSAConfig) { c.SSCI = 0 }), macsec.ErrKey},
		{"XPN, SSCI of a peer with this key", x, with(goodX, func(c *macsec.TxSAConfig) { c.SAK, c.SSCI = sak(x, 3), 5 }), macsec.ErrKeyReuse},
		{"XPN, own SSCI with a peer's key", x, with(goodX, func(c *macsec.TxSAConfig) { c.SAK, c.SSCI = sak(x, 3), 6 }), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSecY(t, config(tt.suite, macsec.Standard))
			installTx(t, s, txConfig(tt.suite, 0, sak(tt.suite, 2)))
			rc := rxConfig(tt.suite, 0, sak(tt.suite, 3))
			if tt.suite.XPN() {
				rc.SSCI = 5
			}
			addRx(t, s, sciB, rc)
			before := s.State()
			sa, err := s.InstallTxSA(tt.c)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && (sa != nil || fmt.Sprintf("%+v", s.State()) != fmt.Sprintf("%+v", before)) {
				t.Error("something changed")
			}
		})
	}
}

// TestKeyComesBack: a SAK that was removed goes on where it stopped, on any AN.
func TestKeyComesBack(t *testing.T) {
	const g = macsec.GCMAES128
	s := newSecY(t, config(g, macsec.Standard))
	old := installTx(t, s, txConfig(g, 0, sak(g, 1)))
	must(t, s.UseAN(0))
	if _, err := s.RemoveTxSA(0); !errors.Is(err, macsec.ErrANInUse) {
		t.Fatalf("removed the SA in use: %v", err)
	}
	for range 5 {
		protect(t, s, frameOf(60, 0))
	}
	installTx(t, s, txConfig(g, 1, sak(g, 2)))
	must(t, s.UseAN(1))
	if next, err := s.RemoveTxSA(0); err != nil || next != 6 {
		t.Errorf("removed: next %d, %v", next, err)
	}
	if _, ok := old.Reserve(1); ok {
		t.Error("a removed SA gives numbers")
	}
	for start, want := range map[uint64]error{0: macsec.ErrKeyReuse, 5: macsec.ErrKeyReuse, 6: nil} {
		c := txConfig(g, 3, sak(g, 1))
		c.StartPN = start
		_, err := s.InstallTxSA(c)
		if !errors.Is(err, want) {
			t.Errorf("start %d: %v, want %v", start, err, want)
		}
		if err == nil {
			_, err = s.RemoveTxSA(3)
			must(t, err)
		}
	}
	remove := func(an macsec.AN) error { _, err := s.RemoveTxSA(an); return err }
	for _, err := range []error{remove(0), s.UseAN(0)} {
		if !errors.Is(err, macsec.ErrNoSA) {
			t.Errorf("no SA: %v", err)
		}
	}
	for _, err := range []error{remove(4), s.UseAN(4)} {
		if !errors.Is(err, macsec.ErrAN) {
			t.Errorf("AN 4: %v", err)
		}
	}
	if s.TxSA(1) == nil || s.TxSA(0) != nil || s.TxSA(9) != nil {
		t.Error("TxSA")
	}
}

// TestStateHoldsNoKey: everything that control can show, in every format.
func TestStateHoldsNoKey(t *testing.T) {
	suite := macsec.GCMAESXPN128
	key := sak(suite, 0x41)
	a, _ := pair(t, config(suite, macsec.Standard))
	sa := installTx(t, a, txConfig(suite, 2, key))
	rc := rxConfig(suite, 3, key)
	rc.SSCI = 77
	addRx(t, a, sciB, rc)
	st := a.State()
	if len(st.TxSAs) != 2 || st.TxSAs[0].InUse != true || st.TxSAs[1].AN != 2 || st.TxSAs[1].Fingerprint != key.Fingerprint() ||
		!st.TxUsable || st.TxAN != 0 || len(st.RxSCs) != 1 || st.RxSCs[0].VTEP != 7 || len(st.RxSCs[0].SAs) != 1 ||
		st.RxSCs[0].SAs[0].AN != 3 || st.RxSCs[0].SAs[0].SSCI != 77 || st.TxSCI != sciA || st.Overhead != 32 {
		t.Errorf("state %+v", st)
	}
	raw := key.Bytes()
	_, kerr := a.InstallTxSA(txConfig(suite, 2, key))
	for _, v := range []any{st, txConfig(suite, 1, key), rc, kerr, sa.Fingerprint()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			out := []byte(fmt.Sprintf(verb, v))
			for _, bad := range []string{string(raw[:4]), fmt.Sprintf("%x", raw[:4]), fmt.Sprintf("%X", raw[:4]), strings.Trim(fmt.Sprint(raw[:3]), "[]")} {
				if bytes.Contains(out, []byte(bad)) {
					t.Errorf("%s of %T leaks the SAK", verb, v)
				}
			}
		}
	}
}
