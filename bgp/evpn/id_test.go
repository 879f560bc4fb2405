package evpn_test

import (
	"strings"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

func TestRD(t *testing.T) {
	for _, tt := range []struct {
		text string
		want evpn.RD
	}{
		{"65000:7", evpn.RD{0, 0, 0xfd, 0xe8, 0, 0, 0, 7}},
		{"65000:4294967295", evpn.RD{0, 0, 0xfd, 0xe8, 0xff, 0xff, 0xff, 0xff}},
		{"192.0.2.1:7", evpn.RD{0, 1, 192, 0, 2, 1, 0, 7}},
		{"4200000000:7", evpn.RD{0, 2, 0xfa, 0x56, 0xea, 0, 0, 7}},
	} {
		got, err := evpn.ParseRD(tt.text)
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("ParseRD(%q) = %x (%s), %v; want %x", tt.text, got[:], got, err, tt.want[:])
		}
	}
	if rd := evpn.NewRD(addr("192.0.2.1"), 7); rd.String() != "192.0.2.1:7" { // RFC 7432 section 7.9
		t.Errorf("NewRD = %s", rd)
	}
	if rd := (evpn.RD{0, 9, 1, 2, 3, 4, 5, 6}); rd.String() != "0009010203040506" {
		t.Errorf("a type that is not known: %s", rd)
	}
}

func TestRDRefused(t *testing.T) {
	for _, text := range []string{"", "7", "a:7", "65000:", "65000:x", "65000:4294967296", "192.0.2.1:65536",
		"4200000000:65536", "4294967296:1", "2001:db8::1:7", "-1:7", "65000:-1", "65000:7:8"} {
		if rd, err := evpn.ParseRD(text); err == nil {
			t.Errorf("ParseRD(%q) = %s", text, rd)
		}
	}
}

// TestAutoRT: RFC 8365 section 5.1.2.1: A 0, type 1 (VXLAN), domain 0, then the
// VNI; not for an AS of four octets.
func TestAutoRT(t *testing.T) {
	got, ok := evpn.AutoRT(65000, 0x123456)
	if want := (evpn.RT{0, 2, 0xfd, 0xe8, 0x10, 0x12, 0x34, 0x56}); !ok || got != want {
		t.Errorf("AutoRT = %x, %v; want %x", got[:], ok, want[:])
	}
	if rt, ok := evpn.AutoRT(4200000000, 100); ok {
		t.Errorf("of an AS of four octets: %s", rt)
	}
}

func TestNewRT(t *testing.T) {
	for _, tt := range []struct {
		asn, n uint32
		want   string
		ok     bool
	}{
		{65000, 70000, "65000:70000", true},
		{4200000000, 100, "4200000000:100", true},
		{4200000000, 70000, "", false},
	} {
		got, ok := evpn.NewRT(tt.asn, tt.n)
		if ok != tt.ok || ok && got.String() != tt.want {
			t.Errorf("NewRT(%d, %d) = %s, %v", tt.asn, tt.n, got, ok)
		}
	}
}

func TestImportMatches(t *testing.T) {
	auto, _ := evpn.AutoRT(65001, 100)
	for _, tt := range []struct {
		imports string
		target  string // or "auto": the derived one of AS 65001 and VNI 100
		want    bool
	}{
		{"65000:100", "65000:100", true},
		{"65000:100", "65001:100", false},
		{"65000:100", "65000:101", false},
		{"65000:100", "4200000000:100", false},
		{"*:100", "65000:100", true},
		{"*:100", "65001:100", true},
		{"*:100", "4200000000:100", true},
		{"*:100", "192.0.2.1:100", true},
		{"*:100", "65000:101", false},
		{"*:100", "auto", true},
		{"*:101", "auto", false},
		{"*:65636", "4200000000:100", false}, // 65536 + 100: numbers of two octets do not wrap
	} {
		i, err := evpn.ParseImport(tt.imports)
		if err != nil {
			t.Fatal(err)
		}
		x := auto
		if tt.target != "auto" {
			x = rt(t, tt.target)
		}
		if got := i.Matches(x); got != tt.want {
			t.Errorf("%s matches %s: %v, want %v", i, x, got, tt.want)
		}
		if i.String() != tt.imports {
			t.Errorf("String = %q, want %q", i, tt.imports)
		}
	}
	i := evpn.AnyAS(100)
	for _, x := range []evpn.RT{{0, 3, 0, 1, 0, 0, 0, 100}, {6, 2, 0, 0, 0, 0, 0, 100}, {3, 2, 0, 0, 0, 0, 0, 100}} {
		if i.Matches(x) {
			t.Errorf("%s matches %x, which is no route target", i, x[:])
		}
	}
	for _, text := range []string{"", "*", "*:", "*:x", "*:4294967296", "65000", "*:1:2"} {
		if i, err := evpn.ParseImport(text); err == nil {
			t.Errorf("ParseImport(%q) = %s", text, i)
		}
	}
}

func TestESI(t *testing.T) {
	mac := table.MAC(0x0200_5e10_2030)
	for _, tt := range []struct {
		name string
		esi  evpn.ESI
		want string
	}{
		{"type 0", evpn.ESIFromValue([9]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}), "00:01:02:03:04:05:06:07:08:09"},
		{"type 1", evpn.ESIFromLACP(mac, 0x1234), "01:02:00:5e:10:20:30:12:34:00"},
		{"type 3", evpn.ESIFromMAC(mac, 0x010203), "03:02:00:5e:10:20:30:01:02:03"},
	} {
		if tt.esi.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.esi, tt.want)
		}
		for _, text := range []string{tt.want, strings.ReplaceAll(tt.want, ":", "")} {
			if got, err := evpn.ParseESI(text); err != nil || got != tt.esi {
				t.Errorf("ParseESI(%q) = %s, %v", text, got, err)
			}
		}
	}
	if got := evpn.ESIFromMAC(mac, 1).Import(); got != mac { // RFC 7432 section 7.6
		t.Errorf("Import = %s, want %s", got, mac)
	}
	for _, text := range []string{"", "00", "00:00:00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff:ff:ff",
		"06:00:00:00:00:00:00:00:00:01", "zz:00:00:00:00:00:00:00:00:01", "00:01:02:03:04:05:06:07:08:09:0a"} {
		if e, err := evpn.ParseESI(text); err == nil {
			t.Errorf("ParseESI(%q) = %s", text, e)
		}
	}
}

// TestKeys: what tells routes apart (RFC 7432 section 7.2: segment and labels do
// not; RFC 9136 section 3.1: nor does the gateway).
func TestKeys(t *testing.T) {
	rd := evpn.NewRD(addr("192.0.2.1"), 7)
	esi := evpn.ESIFromMAC(host(1), 1)
	for _, tt := range []struct {
		key  evpn.Key
		want string
	}{
		{evpn.KeyOfAD(rd, esi, evpn.MaxTag), "[1]:[4294967295]:[03:02:00:00:00:00:01:00:00:01] 192.0.2.1:7"},
		{evpn.KeyOfMAC(rd, 0, host(1), addr("::ffff:10.0.0.1")), "[2]:[0]:[02:00:00:00:00:01]:[10.0.0.1] 192.0.2.1:7"},
		{evpn.KeyOfMulticast(rd, 0, addr("10.0.0.1")), "[3]:[0]:[10.0.0.1] 192.0.2.1:7"},
		{evpn.KeyOfSegment(rd, esi, addr("10.0.0.1")), "[4]:[03:02:00:00:00:00:01:00:00:01]:[10.0.0.1] 192.0.2.1:7"},
		{evpn.KeyOfPrefix(rd, 0, prefix("10.1.2.3/16")), "[5]:[0]:[10.1.0.0/16] 192.0.2.1:7"},
		{evpn.Key{Kind: 9, RD: rd}, "[9] 192.0.2.1:7"},
	} {
		if got := tt.key.String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"65000:7", "192.0.2.1:7", "4200000000:7", "*:100", "03:02:00:00:00:00:01:00:00:01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if rd, err := evpn.ParseRD(s); err == nil {
			if again, err := evpn.ParseRD(rd.String()); err != nil || again != rd {
				t.Errorf("RD %q: %s: %s, %v", s, rd, again, err)
			}
		}
		if i, err := evpn.ParseImport(s); err == nil {
			if again, err := evpn.ParseImport(i.String()); err != nil || again != i {
				t.Errorf("import %q: %s: %s, %v", s, i, again, err)
			}
			if !i.Any && !i.Matches(i.RT) {
				t.Errorf("import %s does not match itself", i)
			}
		}
		if e, err := evpn.ParseESI(s); err == nil {
			if again, err := evpn.ParseESI(e.String()); err != nil || again != e {
				t.Errorf("ESI %q: %s: %s, %v", s, e, again, err)
			}
		}
	})
}
