package macsec_test

import (
	"bytes"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// snapshot is every receive counter of a SecY with one channel whose AN 0 has an
// SA, so that a test can say which one, and no other, moved.
type snapshot struct {
	SecY macsec.SecYCounters
	SC   macsec.RxSCCounters
	SA   macsec.RxSACounters
}

func snap(s *macsec.SecY) snapshot {
	st := s.State()
	return snapshot{st.Counters, st.RxSCs[0].Counters, st.RxSCs[0].SAs[0].Counters}
}

// TestValidationRules has one case for each rule, in the order of the checks:
// the reason, and exactly the counters that move.
func TestValidationRules(t *testing.T) {
	c := config(macsec.GCMAES256, macsec.Standard)
	long := frameOf(100, 0)
	edit := func(f func(b []byte) []byte) func(*testing.T, *macsec.SecY) []byte {
		return func(t *testing.T, a *macsec.SecY) []byte { return f(protect(t, a, long)) }
	}
	set := func(i int, b byte) func(*testing.T, *macsec.SecY) []byte {
		return edit(func(f []byte) []byte { f[i] = b; return f })
	}
	badTag := func(f macsec.TagFault) func(*snapshot) {
		return func(s *snapshot) { s.SecY.InPktsBadTag++; s.SecY.BadTag[f]++ }
	}
	for _, tt := range []struct {
		name  string
		frame func(*testing.T, *macsec.SecY) []byte
		want  counter.Reason
		moves func(*snapshot)
	}{
		{"valid", edit(func(f []byte) []byte { return f }), counter.None,
			func(s *snapshot) { s.SC.InPktsOK++; s.SA.InPktsOK++; s.SecY.InOctetsDecrypted += 88 }},
		{"13 bytes", edit(func(f []byte) []byte { return f[:13] }), counter.FrameTooShort, func(*snapshot) {}},
		{"untagged", edit(func([]byte) []byte { return long }), counter.MACsecUntagged,
			func(s *snapshot) { s.SecY.InPktsNoTag++ }},
		{"VLAN tag before the SecTAG", edit(func(f []byte) []byte {
			return append(append(clone(f[:12]), 0x81, 0, 0, 1), f[12:]...)
		}), counter.MACsecUntagged, func(s *snapshot) { s.SecY.InPktsNoTag++ }},
		{"tag cut off", edit(func(f []byte) []byte { return f[:28] }), counter.MACsecBadTag, badTag(macsec.TagTruncated)},
		{"V set", set(14, 0xac), counter.MACsecBadTag, badTag(macsec.TagVersion)},
		{"ES and SC", set(14, 0x6c), counter.MACsecBadTag, badTag(macsec.TagSCI)},
		{"SCB and SC", set(14, 0x3c), counter.MACsecBadTag, badTag(macsec.TagSCI)},
		{"reserved bits", set(15, 0x40), counter.MACsecBadTag, badTag(macsec.TagReserved)},
		{"SL of a long frame", set(15, 40), counter.MACsecBadTag, badTag(macsec.TagLength)},
		{"PN 0", edit(func(f []byte) []byte { clear(f[16:20]); return f }), counter.MACsecBadTag, badTag(macsec.TagPNZero)},
		{"unknown SCI", set(27, 9), counter.MACsecUnknownSCI, func(s *snapshot) { s.SecY.InPktsNoSCI++ }},
		{"no SCI", func(t *testing.T, a *macsec.SecY) []byte {
			macsec.SetTagStyle(a, 0)
			return protect(t, a, long)
		}, counter.MACsecUnknownSCI, func(s *snapshot) { s.SecY.InPktsNoSCI++ }},
		{"integrity only", set(14, 0x20), counter.MACsecModeMismatch, func(s *snapshot) { s.SC.InPktsModeMismatch++ }},
		{"C without E", set(14, 0x24), counter.MACsecModeMismatch, func(s *snapshot) { s.SC.InPktsModeMismatch++ }},
		{"E without C", set(14, 0x28), counter.MACsecModeMismatch, func(s *snapshot) { s.SC.InPktsModeMismatch++ }},
		{"AN without SA", set(14, 0x2d), counter.MACsecNotUsingSA, func(s *snapshot) { s.SC.InPktsNotUsingSA++ }},
		{"late", edit(func(f []byte) []byte { return f }), counter.MACsecLate,
			func(s *snapshot) { s.SC.InPktsLate++; s.SA.InPktsLate++ }},
		{"replayed", func(t *testing.T, a *macsec.SecY) []byte { return nil }, counter.MACsecReplayed,
			func(s *snapshot) { s.SC.InPktsReplayed++; s.SA.InPktsReplayed++ }},
		{"ICV wrong", edit(func(f []byte) []byte { f[len(f)-1] ^= 1; return f }), counter.MACsecNotValid,
			func(s *snapshot) { s.SC.InPktsNotValid++; s.SA.InPktsNotValid++ }},
		{"hidden frame", func(t *testing.T, a *macsec.SecY) []byte {
			ch := config(macsec.GCMAES256, macsec.Hidden)
			h := newSecY(t, ch)
			installTx(t, h, txConfig(ch.Suite, 0, sak(ch.Suite, 1)))
			must(t, h.UseAN(0))
			return protect(t, h, long)
		}, counter.MACsecModeMismatch, func(s *snapshot) { s.SC.InPktsModeMismatch++ }},
		{"authentic, no EtherType inside", func(t *testing.T, a *macsec.SecY) []byte {
			return nil
		}, counter.FrameTooShort, func(s *snapshot) { s.SC.InPktsRunt++ }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(t, c)
			frame := tt.frame(t, a)
			switch tt.name {
			case "late":
				must2(t, protectN(t, a, b, 1200))
			case "replayed":
				frame = protect(t, a, long)
				must2(t, protectN(t, a, b, 100))
				if _, _, r := validate(b, frame); r != counter.None {
					t.Fatal(r)
				}
			case "authentic, no EtherType inside":
				frame = runt(t, c)
			}
			want := snap(b)
			tt.moves(&want)
			tenant, _, r := validate(b, frame)
			if r != tt.want {
				t.Errorf("reason %v, want %v", r, tt.want)
			}
			if (tenant == nil) != (r != counter.None) {
				t.Errorf("%v with a tenant frame of %d bytes", r, len(tenant))
			}
			if got := snap(b); got != want {
				t.Errorf("counters\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

// protectN carries n frames from a to b.
func protectN(t *testing.T, a, b *macsec.SecY, n int) counter.Reason {
	for range n {
		if _, _, r := validate(b, protect(t, a, frameOf(60, 0))); r != counter.None {
			return r
		}
	}
	return counter.None
}

func must2(t *testing.T, r counter.Reason) {
	t.Helper()
	if r != counter.None {
		t.Fatal(r)
	}
}

// TestUnauthenticatedChangesNothing: forged frames with high packet numbers move
// neither the window nor the lowest packet number.
func TestUnauthenticatedChangesNothing(t *testing.T) {
	for _, suite := range allSuites {
		a, b := pair(t, config(suite, macsec.Standard))
		first := protect(t, a, frameOf(60, 0))
		forged := clone(first)
		copy(forged[16:20], []byte{0x7f, 0xff, 0xff, 0xff})
		if _, _, r := validate(b, forged); r != counter.MACsecNotValid {
			t.Fatal(r)
		}
		if _, _, r := validate(b, first); r != counter.None {
			t.Errorf("%v: after a forged frame: %v", suite, r)
		}
		if n := b.State().RxSCs[0].SAs[0].NextPN; n != 2 {
			t.Errorf("%v: next PN %d", suite, n)
		}
	}
}

func TestReplayWindowSizes(t *testing.T) {
	for _, tt := range []struct {
		window uint32
		back   int // how far behind the highest
		want   counter.Reason
	}{
		{0, 1, counter.MACsecLate},
		{1, 1, counter.MACsecLate},
		{64, 63, counter.None},
		{64, 64, counter.MACsecLate},
		{1024, 1023, counter.None},
		{1024, 1024, counter.MACsecLate},
	} {
		c := config(macsec.GCMAES128, macsec.Standard)
		c.ReplayWindow = tt.window
		a, b := pair(t, c)
		held := protect(t, a, frameOf(60, 0))
		must2(t, protectN(t, a, b, tt.back))
		if _, _, r := validate(b, held); r != tt.want {
			t.Errorf("window %d, %d behind: %v, want %v", tt.window, tt.back, r, tt.want)
		}
	}
	if macsec.DefaultReplayWindow < 64 {
		t.Error("the default window loses reordered frames")
	}
}

func TestLowestPN(t *testing.T) {
	a, b := pair(t, config(macsec.GCMAES128, macsec.Standard))
	var held [][]byte
	for range 6 {
		held = append(held, protect(t, a, frameOf(60, 0)))
	}
	sa := b.RxSC(sciA).RxSA(0)
	sa.SetLowestPN(4)
	sa.SetLowestPN(2) // a lower one changes nothing
	for i, f := range held {
		want := counter.None
		if i+1 < 4 {
			want = counter.MACsecLate
		}
		if _, _, r := validate(b, f); r != want {
			t.Errorf("PN %d: %v, want %v", i+1, r, want)
		}
	}
	if sa.NextPN() != 7 || sa.LowestPN() != 4 {
		t.Errorf("next %d, lowest %d", sa.NextPN(), sa.LowestPN())
	}
}

// TestImplicitSCI: what AllowImplicitSCI allows, and no more.
func TestImplicitSCI(t *testing.T) {
	es := macsec.MakeSCI([6]byte(frameOf(60, 0)[6:12]), 1)
	for _, tt := range []struct {
		name   string
		style  macsec.TCI
		allow  bool
		tx     macsec.SCI
		others int
		want   counter.Reason
	}{
		{"ES", macsec.TCIES, true, es, 2, counter.None},
		{"ES, not allowed", macsec.TCIES, false, es, 0, counter.MACsecUnknownSCI},
		{"ES from a stranger", macsec.TCIES, true, sciA, 0, counter.MACsecUnknownSCI},
		{"point to point", 0, true, sciA, 0, counter.None},
		{"point to point, not allowed", 0, false, sciA, 0, counter.MACsecUnknownSCI},
		{"two peers", 0, true, sciA, 1, counter.MACsecUnknownSCI},
		{"SCB", macsec.TCISCB, true, sciA, 0, counter.MACsecUnknownSCI},
		{"explicit", macsec.TCISC, true, sciA, 2, counter.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config(macsec.GCMAES128, macsec.Standard)
			c.AllowImplicitSCI, c.TxSCI = tt.allow, tt.tx
			a := newSecY(t, c)
			macsec.SetTagStyle(a, tt.style)
			installTx(t, a, txConfig(c.Suite, 0, sak(c.Suite, 1)))
			must(t, a.UseAN(0))
			c.TxSCI = sciB
			b := newSecY(t, c)
			addRx(t, b, tt.tx, rxConfig(c.Suite, 0, sak(c.Suite, 1)))
			for i := range tt.others {
				addRx(t, b, macsec.SCI{9, byte(i)})
			}
			plain := frameOf(60, 0)
			got, sc, r := validate(b, protect(t, a, plain))
			if r != tt.want {
				t.Fatalf("%v, want %v", r, tt.want)
			}
			if r == counter.None && (!bytes.Equal(got, plain) || sc.SCI() != tt.tx) {
				t.Errorf("from %v: %x", sc.SCI(), got)
			}
		})
	}
}

// TestManyChannels: every channel is found, no other is.
func TestManyChannels(t *testing.T) {
	b := newSecY(t, config(macsec.GCMAES128, macsec.Standard))
	sci := func(i int) macsec.SCI { return macsec.SCI{0x0a, 0, 1, byte(i >> 8), byte(i), 0, 0, 1} }
	for i := range 300 {
		addRx(t, b, sci(i))
		for j := range 310 {
			if got := b.RxSC(sci(j)); (got != nil) != (j <= i) || (got != nil && got.SCI() != sci(j)) {
				t.Fatalf("%d channels: lookup of %d: %v", i+1, j, got)
			}
		}
	}
	for i := 0; i < 300; i += 2 {
		must(t, b.RemoveRxSC(sci(i)))
	}
	for i := range 300 {
		if (b.RxSC(sci(i)) != nil) != (i%2 == 1) {
			t.Fatalf("channel %d after removal of the even ones", i)
		}
	}
}
