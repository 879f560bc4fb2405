package macsec_test

import (
	"encoding/hex"
	"testing"

	"github.com/ztos/ztos/macsec"
)

func TestSecTAGGolden(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tci    macsec.TCI
		secure int
		pn     uint64
		want   string
	}{
		{"encrypted, long", macsec.TCISC | macsec.TCIE | macsec.TCIC | 2, 48, 0xb2c28465, "88e5 2e 00 b2c28465 0a00000000010001"},
		{"integrity, short", macsec.TCISC, 47, 1, "88e5 20 2f 00000001 0a00000000010001"},
		{"XPN sends the lower half", macsec.TCISC | 3, 1, 0x1_2345_6789, "88e5 23 01 23456789 0a00000000010001"},
		{"no SCI", macsec.TCIES | 1, 100, 7, "88e5 41 00 00000007"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := make([]byte, 16)
			tag := macsec.SecTAG(b)
			tag.Put(tt.tci, tt.secure, tt.pn, sciA)
			want := unhex(t, tt.want)
			if got := hex.EncodeToString(b[:len(want)]); got != hex.EncodeToString(want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			sl := tt.secure
			if sl >= 48 {
				sl = 0
			}
			if !tag.Valid() || tag.Len() != len(want) || tag.TCI() != tt.tci || tag.TCI().AN() != macsec.AN(tt.tci&3) ||
				tag.SL() != sl || tag.PN() != uint32(tt.pn) {
				t.Error("the getters disagree with Put")
			}
			if tag.Len() == 16 && (tag.SCI() != sciA || tag[:15].Valid()) {
				t.Error("SCI")
			}
		})
	}
}

// mpdu builds SecTAG, secure octets and an ICV of zeros.
func mpdu(tci macsec.TCI, sl byte, pn uint32, secure int) []byte {
	n := 8
	if tci&macsec.TCISC != 0 {
		n = 16
	}
	b := make([]byte, n+secure+16)
	macsec.SecTAG(b).Put(tci, 48, uint64(pn), sciA)
	b[3] = sl
	return b
}

// TestCheckMPDU has each rule at its border, with and without SCI, E and C.
func TestCheckMPDU(t *testing.T) {
	const sc, es, scb, v, e, c = macsec.TCISC, macsec.TCIES, macsec.TCISCB, macsec.TCIVersion, macsec.TCIE, macsec.TCIC
	for _, tt := range []struct {
		name string
		mpdu []byte
		xpn  bool
		want macsec.TagFault
	}{
		{"16 octets", mpdu(0, 0, 1, 48)[:16], false, macsec.TagTruncated},
		{"17 octets, no SCI, nothing secured", mpdu(0, 0, 1, 48)[:17], false, macsec.TagLength},
		{"17 octets, SC set", mpdu(sc, 1, 1, 48)[:17], false, macsec.TagLength},
		{"V", mpdu(sc|v, 0, 1, 48), false, macsec.TagVersion},
		{"ES", mpdu(es, 0, 1, 48), false, macsec.TagOK},
		{"SCB", mpdu(scb, 0, 1, 48), false, macsec.TagOK},
		{"ES and SC", mpdu(es|sc, 0, 1, 48), false, macsec.TagSCI},
		{"SCB and SC", mpdu(scb|sc, 0, 1, 48), false, macsec.TagSCI},
		{"reserved bit 7", mpdu(sc, 0x40, 1, 48), false, macsec.TagReserved},
		{"reserved bit 8", mpdu(sc, 0x80, 1, 48), false, macsec.TagReserved},
		{"SL 0, 48 octets", mpdu(sc, 0, 1, 48), false, macsec.TagOK},
		{"SL 0, 47 octets", mpdu(sc, 0, 1, 47), false, macsec.TagLength},
		{"SL 0, 48 octets, no SCI", mpdu(0, 0, 1, 48), false, macsec.TagOK},
		{"SL 0, 47 octets, no SCI", mpdu(0, 0, 1, 47), false, macsec.TagLength},
		{"SL 0, 48 octets, C", mpdu(sc|e|c, 0, 1, 48), false, macsec.TagOK},
		{"SL 0, 47 octets, C", mpdu(sc|e|c, 0, 1, 47), false, macsec.TagLength},
		{"SL 0, nothing", mpdu(sc, 0, 1, 0), false, macsec.TagLength},
		{"SL 1", mpdu(sc, 1, 1, 1), false, macsec.TagOK},
		{"SL 47", mpdu(sc, 47, 1, 47), false, macsec.TagOK},
		{"SL 47, 46 octets", mpdu(sc, 47, 1, 46), false, macsec.TagLength},
		{"SL 47, 48 octets", mpdu(sc, 47, 1, 48), false, macsec.TagLength},
		{"SL 20 in a padded frame", mpdu(sc|e|c, 20, 1, 24), false, macsec.TagLength},
		{"SL 48, 48 octets", mpdu(sc, 48, 1, 48), false, macsec.TagLength},
		{"SL 63, 63 octets", mpdu(sc, 63, 1, 63), false, macsec.TagLength},
		{"PN 0", mpdu(sc, 0, 0, 48), false, macsec.TagPNZero},
		{"PN 0 with XPN", mpdu(sc, 0, 0, 48), true, macsec.TagOK},
		{"all faults: the first counts", mpdu(v|es|sc, 0xff, 0, 0), false, macsec.TagVersion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := macsec.CheckMPDU(tt.mpdu, tt.xpn); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, s := range allSuites {
		back, err := macsec.ParseSuite(s.String())
		if err != nil || back != s {
			t.Errorf("%v: %v, %v", s, back, err)
		}
		if s.ID() != 0x0080c20001000000+uint64(s) {
			t.Errorf("%v: ID %#x", s, s.ID())
		}
	}
	for _, bad := range []string{"", "GCM-AES-128", "aes", "suite-0"} {
		if _, err := macsec.ParseSuite(bad); err == nil {
			t.Errorf("suite %q accepted", bad)
		}
	}
	if s := macsec.Suite(9); s.Valid() || s.KeyLen() != 0 || s.XPN() || s.ID() != 0 || s.String() != "suite-9" {
		t.Error("suite 9")
	}
	sci, err := macsec.ParseSCI("0A00000000010001")
	if err != nil || sci != sciA || sci.String() != "0a00000000010001" || sci != macsec.MakeSCI([6]byte{0x0a, 0, 0, 0, 0, 1}, 1) {
		t.Errorf("SCI %v, %v", sci, err)
	}
	for _, bad := range []string{"", "0a0000000001000", "0a000000000100011", "0a0000000001000g", "0a:00:00:00:00:01"} {
		if err := sci.UnmarshalText([]byte(bad)); err == nil || sci != sciA {
			t.Errorf("SCI %q accepted", bad)
		}
	}
	for f := range macsec.NumTagFaults + 1 {
		if f.String() == "" {
			t.Errorf("fault %d has no name", f)
		}
	}
}

// TestRecoverPN: the nearest 64-bit number.
func TestRecoverPN(t *testing.T) {
	const e = 1 << 32
	for _, tt := range []struct {
		low  uint32
		next uint64
		want uint64
	}{
		{1, 1, 1},
		{0xf0000000, 1, 0xf0000000}, // nothing lies before the first epoch
		{5, 0xfffffff0, e + 5},
		{0xfffffff0, e + 5, 0xfffffff0},
		{0xffffffff, e, e - 1},
		{0, e, e},
		{0, e - 1, e},
		{0x7fffffff, 5 * e, 5*e + 0x7fffffff},
		{0x80000000, 5 * e, 4*e + 0x80000000},
		{0x80000000, 5*e + 1, 5*e + 0x80000000},
		{0x80000000, 5*e + 0xffffffff, 5*e + 0x80000000},
		{0, ^uint64(0) - 5, ^uint64(0) - e + 1}, // there is no epoch above
		{0xfffffffe, ^uint64(0), ^uint64(0) - 1},
	} {
		if got := macsec.RecoverPN(tt.low, tt.next); got != tt.want {
			t.Errorf("low %#x, next %#x: got %#x, want %#x", tt.low, tt.next, got, tt.want)
		}
	}
}
