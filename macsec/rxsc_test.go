package macsec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ztos/ztos/crypto/replay"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

func TestConfigFaults(t *testing.T) {
	good := config(macsec.GCMAES256, macsec.Standard)
	hidden := config(macsec.GCMAES256, macsec.Hidden)
	for _, tt := range []struct {
		name string
		base macsec.Config
		f    func(*macsec.Config)
		says []string // nil: valid
	}{
		{"good", good, func(*macsec.Config) {}, nil},
		{"window 0", good, func(c *macsec.Config) { c.ReplayWindow = 0 }, nil},
		{"hidden", hidden, func(*macsec.Config) {}, nil},
		{"no suite", good, func(c *macsec.Config) { c.Suite = 0 }, []string{"suite"}},
		{"no mode", good, func(c *macsec.Config) { c.Mode = 0 }, []string{"mode"}},
		{"offset 10", good, func(c *macsec.Config) { c.Offset = 10 }, []string{"offset 10"}},
		{"offset with XPN", good, func(c *macsec.Config) { c.Offset, c.Suite = 30, macsec.GCMAESXPN128 }, []string{"offset 30 with gcm-aes-xpn-128"}},
		{"offset without encryption", good, func(c *macsec.Config) { c.Offset, c.IntegrityOnly = 50, true }, []string{"without encryption"}},
		{"addresses in standard mode", good, func(c *macsec.Config) { c.HiddenAddrs[0] = 2 }, []string{"outer addresses"}},
		{"hidden, integrity only", hidden, func(c *macsec.Config) { c.IntegrityOnly = true }, []string{"hides nothing"}},
		{"hidden with offset", hidden, func(c *macsec.Config) { c.Offset = 30 }, []string{"hides nothing"}},
		{"hidden, group DA", hidden, func(c *macsec.Config) { c.HiddenAddrs[0] = 3 }, []string{"individual"}},
		{"hidden, universal SA", hidden, func(c *macsec.Config) { c.HiddenAddrs[6] = 0 }, []string{"locally administered"}},
		{"window", good, func(c *macsec.Config) { c.ReplayWindow = replay.MaxSize + 1 }, []string{"replay window"}},
		{"SCI", good, func(c *macsec.Config) { c.TxSCI = macsec.SCI{} }, []string{"SCI"}},
		{"all at once", good, func(c *macsec.Config) { c.TxSCI, c.Suite, c.Offset = macsec.SCI{}, 9, 1 }, []string{"SCI", "suite", "offset"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.base
			tt.f(&c)
			s, err := macsec.New(c)
			if tt.says == nil {
				if err != nil || s.Config() != c {
					t.Fatalf("got %v", err)
				}
				return
			}
			if s != nil || !errors.Is(err, macsec.ErrConfig) {
				t.Fatalf("got %v", err)
			}
			for _, w := range tt.says {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

func TestRxControlErrors(t *testing.T) {
	const g, x = macsec.GCMAES128, macsec.GCMAESXPN128
	s := newSecY(t, config(g, macsec.Standard))
	addRx(t, s, sciB, rxConfig(g, 0, sak(g, 1)))
	install := func(s *macsec.SecY, sci macsec.SCI, c macsec.RxSAConfig) error {
		_, err := s.InstallRxSA(sci, c)
		return err
	}
	add := func(sci macsec.SCI) error { _, err := s.AddRxSC(sci, 1); return err }
	high := rxConfig(g, 1, sak(g, 2))
	high.LowestPN = 1 << 32

	xs := newSecY(t, config(x, macsec.Standard))
	installTx(t, xs, txConfig(x, 0, sak(x, 1)))
	addRx(t, xs, sciB)

	for _, tt := range []struct {
		name      string
		err, want error
	}{
		{"own SCI", add(sciA), macsec.ErrOwnSCI},
		{"SCI twice", add(sciB), macsec.ErrSCInUse},
		{"SA of no channel", install(s, sciA, rxConfig(g, 0, sak(g, 1))), macsec.ErrNoSC},
		{"AN 4", install(s, sciB, rxConfig(g, 4, sak(g, 2))), macsec.ErrAN},
		{"AN in use", install(s, sciB, rxConfig(g, 0, sak(g, 2))), macsec.ErrANInUse},
		{"key on two ANs", install(s, sciB, rxConfig(g, 1, sak(g, 1))), macsec.ErrKeyReuse},
		{"key length", install(s, sciB, rxConfig(g, 1, sak(macsec.GCMAES256, 2))), macsec.ErrKey},
		{"lowest PN", install(s, sciB, high), macsec.ErrStartPN},
		{"XPN, our SSCI and key", install(xs, sciB, rxConfig(x, 0, sak(x, 1))), macsec.ErrKeyReuse},
		{"remove from no channel", s.RemoveRxSA(sciA, 0), macsec.ErrNoSC},
		{"remove no SA", s.RemoveRxSA(sciB, 1), macsec.ErrNoSA},
		{"remove AN 4", s.RemoveRxSA(sciB, 4), macsec.ErrAN},
		{"remove no channel", s.RemoveRxSC(sciA), macsec.ErrNoSC},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.err, tt.want)
		}
	}
	if s.RxSC(sciB).RxSA(9) != nil {
		t.Error("RxSA 9")
	}
}

// TestRxSAComesBack: what was accepted before an SA was removed is not accepted
// again after it came back, on whichever AN.
func TestRxSAComesBack(t *testing.T) {
	c := config(macsec.GCMAES128, macsec.Standard)
	a, b := pair(t, c)
	old := protect(t, a, frameOf(60, 0))
	late := protect(t, a, frameOf(60, 0))
	last := protect(t, a, frameOf(60, 0))
	for _, f := range [][]byte{old, last} {
		if _, _, r := validate(b, f); r != counter.None {
			t.Fatal(r)
		}
	}
	must(t, b.RemoveRxSA(sciA, 0))
	if _, _, r := validate(b, late); r != counter.MACsecNotUsingSA {
		t.Errorf("removed: %v", r)
	}
	_, err := b.InstallRxSA(sciA, rxConfig(c.Suite, 0, sak(c.Suite, 1)))
	must(t, err)
	for i, f := range [][]byte{old, late, last} {
		if _, _, r := validate(b, f); r != counter.MACsecLate {
			t.Errorf("frame %d after the return: %v", i, r)
		}
	}
	if _, _, r := validate(b, protect(t, a, frameOf(60, 0))); r != counter.None {
		t.Errorf("the next frame: %v", r)
	}
	recent := protect(t, a, frameOf(60, 0))
	if _, _, r := validate(b, recent); r != counter.None {
		t.Fatal(r)
	}
	must(t, b.RemoveRxSC(sciA))
	if _, _, r := validate(b, protect(t, a, frameOf(60, 0))); r != counter.MACsecUnknownSCI {
		t.Errorf("channel removed: %v", r)
	}
	addRx(t, b, sciA, rxConfig(c.Suite, 2, sak(c.Suite, 1)), rxConfig(c.Suite, 0, sak(c.Suite, 2)))
	if n := b.RxSC(sciA).RxSA(2).LowestPN(); n != 6 {
		t.Errorf("channel added again: lowest PN %d, want 6", n)
	}
	if _, _, r := validate(b, recent); r != counter.MACsecNotUsingSA && r != counter.MACsecNotValid {
		t.Errorf("old frame on another AN: %v", r)
	}
}

// TestHiddenModeMismatch: a hidden SecY refuses what a standard one sends.
func TestHiddenModeMismatch(t *testing.T) {
	c := config(macsec.GCMAES256, macsec.Hidden)
	_, b := pair(t, c)
	sc := config(macsec.GCMAES256, macsec.Standard)
	a := newSecY(t, sc)
	installTx(t, a, txConfig(sc.Suite, 0, sak(sc.Suite, 1)))
	must(t, a.UseAN(0))
	for _, n := range []int{14, 28, 60, 1514} {
		if _, _, r := validate(b, protect(t, a, frameOf(n, 0))); r != counter.MACsecModeMismatch {
			t.Errorf("%d bytes: %v", n, r)
		}
	}
	// Behind 0x6558 there must be a whole Ethernet frame.
	short := frameOf(14+13, 0)
	short[12], short[13] = 0x65, 0x58
	if _, _, r := validate(b, protect(t, a, short)); r != counter.FrameTooShort {
		t.Errorf("13 bytes inside: %v", r)
	}
	// A tenant's own 0x6558 frame passes a standard SecY.
	_, std := pair(t, sc)
	short[6] = 0x50 // universal address
	if _, _, r := validate(std, protect(t, a, short)); r != counter.None {
		t.Errorf("a tenant's 0x6558 frame: %v", r)
	}
}
