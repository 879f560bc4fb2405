package scrub_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/ztos/ztos/bgp/scrub"
)

// x decodes hex with spaces.
func x(s string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		panic(err)
	}
	return b
}

const (
	marker = "ffffffffffffffffffffffffffffffff"
	rd     = "0001 0aff0001 0002"
	esi0   = "00000000000000000000"
	// Good routes of the five types.
	ad     = "01 19 " + rd + "03 0102030405060708 09 00000000 000064"
	mac    = "02 21 " + rd + esi0 + "00000000 30 020000000001 00 000064"
	macip  = "02 28 " + rd + esi0 + "00000000 30 020000000001 20 0a000001 000064 0003e8"
	macip6 = "02 31 " + rd + esi0 + "00000000 30 020000000001 80 20010db8000000000000000000000001 000064"
	imet   = "03 11 " + rd + "00000000 20 0aff0001"
	seg    = "04 17 " + rd + "03 0102030405060708 09 20 0aff0001"
	pfx    = "05 22 " + rd + esi0 + "00000000 18 0a000000 00000000 0003e8"
	pfx6   = "05 3a " + rd + esi0 + "00000000 40 20010db8000000000000000000000000 00000000000000000000000000000000 0003e8"
	// A type 6 route (RFC 9251): RD, tag, no source, group 239.1.1.1, originator.
	smet = "06 18 " + rd + "00000000 00 20 ef010101 20 0aff0001 02"

	origin = "40 01 01 00"
	aspath = "40 02 00"
	reach  = "0019 46 04 0aff0001 00" // AFI, SAFI, next hop, reserved
	rt     = "0002 fde8 00000064"
	mob    = "0600 0000 00000007"
	veiled = "2600 0000 00000007"
)

// attr writes an attribute with a length of two octets, as the package does.
func attr(flags, typ byte, value string) string {
	v := x(value)
	return hex.EncodeToString(append([]byte{flags | 0x10, typ, byte(len(v) >> 8), byte(len(v))}, v...))
}

func message(typ byte, body []byte) []byte {
	n := 19 + len(body)
	return append(append(x(marker), byte(n>>8), byte(n), typ), body...)
}

// update writes an UPDATE without IPv4 prefixes.
func update(attrs ...string) []byte {
	a := x(strings.Join(attrs, ""))
	return message(2, append([]byte{0, 0, byte(len(a) >> 8), byte(len(a))}, a...))
}

var keepalive = message(4, nil)

func TestIn(t *testing.T) {
	all := ad + mac + macip + macip6 + imet + seg + pfx + pfx6
	for _, tt := range []struct {
		name      string
		in, want  []byte
		unknown   map[byte]uint64
		malformed uint64
	}{
		{name: "keepalive", in: keepalive, want: keepalive},
		{name: "open", in: message(1, x("04 fde8 00b4 0aff0001 00")), want: message(1, x("04 fde8 00b4 0aff0001 00"))},
		{name: "end of RIB of IPv4", in: update(), want: update()},
		{name: "end of RIB of EVPN", in: update(attr(0x80, 15, "0019 46")), want: update(attr(0x80, 15, "0019 46"))},
		{name: "good routes", in: update(origin, aspath, attr(0x80, 14, reach+all)), want: update(origin, aspath, attr(0x80, 14, reach+all))},
		{name: "good withdrawals", in: update(attr(0x80, 15, "0019 46"+all)), want: update(attr(0x80, 15, "0019 46"+all))},
		{
			name: "a type 6 route among good ones", in: update(origin, aspath, attr(0x80, 14, reach+mac+smet+imet)),
			want: update(origin, aspath, attr(0x80, 14, reach+mac+imet)), unknown: map[byte]uint64{6: 1},
		},
		{
			name: "only a type 6 route", in: update(origin, aspath, attr(0x80, 14, reach+smet)),
			want: keepalive, unknown: map[byte]uint64{6: 1},
		},
		{
			name: "a withdrawal of a type 6 route is no end of RIB", in: update(attr(0x80, 15, "0019 46"+smet)),
			want: keepalive, unknown: map[byte]uint64{6: 1},
		},
		{
			name: "types 7 to 11 and 200, empty", in: update(origin, aspath, attr(0x80, 14, reach+"0700 0800 0900 0a00 0b00 c800 0000"+mac)),
			want:    update(origin, aspath, attr(0x80, 14, reach+mac)),
			unknown: map[byte]uint64{7: 1, 8: 1, 9: 1, 10: 1, 11: 1, 200: 1, 0: 1},
		},
		{
			name: "unknown routes withdrawn, good ones announced", in: update(origin, aspath, attr(0x80, 14, reach+mac), attr(0x80, 15, "0019 46"+smet)),
			want: update(origin, aspath, attr(0x80, 14, reach+mac)), unknown: map[byte]uint64{6: 1},
		},
		{
			name: "malformed ones", in: update(origin, aspath, attr(0x80, 14, reach+
				"02 05 0102030405"+ // too short
				"02 21 "+rd+esi0+"00000000 2f 020000000001 00 000064"+ // MAC of 47 bits
				"02 21 "+rd+esi0+"00000000 30 020000000001 08 000064"+ // IP of 8 bits
				"02 22 "+rd+esi0+"00000000 30 020000000001 00 000064 00"+ // one octet over
				"02 21 "+"0007 0aff0001 0002"+esi0+"00000000 30 020000000001 00 000064"+ // RD of type 7
				"02 21 "+rd+"09000000000000000000 00000000 30 020000000001 00 000064"+ // ESI of type 9
				"02 21 "+rd+"01000000000000000001 00000000 30 020000000001 00 000064"+ // LACP ESI ending in 1
				"03 11 "+rd+"00000000 80 0aff0001"+
				"05 22 "+rd+esi0+"00000000 21 0a000000 00000000 0003e8"+ // 33 bits of IPv4
				"01 18 "+rd+"03 0102030405060708 09 00000000 0000"+
				"04 18 "+rd+"03 0102030405060708 09 20 0aff0001 00"+
				imet)),
			want: update(origin, aspath, attr(0x80, 14, reach+imet)), malformed: 11,
		},
		{
			name: "a list that cannot be cut is GoBGP's to answer", in: update(origin, aspath, attr(0x80, 14, reach+smet+"02ff01")),
			want: update(origin, aspath, attr(0x80, 14, reach+smet+"02ff01")),
		},
		{
			name: "another family", in: update(origin, aspath, attr(0x80, 14, "0001 84 04 0aff0001 00 0600")),
			want: update(origin, aspath, attr(0x80, 14, "0001 84 04 0aff0001 00 0600")),
		},
		{
			name: "communities are veiled", in: update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, rt+mob+"0606 02 4000 00 7fff 0c00000000000001 8009000000000001 030c000000000008")),
			want: update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, rt+veiled+"2606 02 4000 00 7fff 2c00000000000001 a009000000000001 030c000000000008")),
		},
		{
			name: "a peer does not speak the veiled form", in: update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, rt+veiled)),
			want: update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, rt)),
		},
		{
			name: "nor as the only community", in: update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, veiled)),
			want: update(origin, aspath, attr(0x80, 14, reach+mac)),
		},
		{name: "attributes longer than the message", in: message(2, x("0000 0010 40")), want: message(2, x("0000 0010 40"))},
		{name: "an attribute longer than its list", in: update("c0 10 08 00"), want: update("c0 10 08 00")},
		{name: "too short for an update", in: message(2, x("00")), want: message(2, x("00"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s scrub.Scrubber
			got := s.In([]byte("head"), tt.in)
			if !bytes.Equal(got, append([]byte("head"), tt.want...)) {
				t.Errorf("got  %x\nwant %x", got[4:], tt.want)
			}
			for typ, n := range s.Counts.Unknown {
				if n != tt.unknown[byte(typ)] {
					t.Errorf("%d routes of type %d counted, want %d", n, typ, tt.unknown[byte(typ)])
				}
			}
			if s.Counts.Malformed != tt.malformed {
				t.Errorf("%d malformed routes counted, want %d", s.Counts.Malformed, tt.malformed)
			}
		})
	}
}

func TestOut(t *testing.T) {
	self4, self6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	relay := netip.MustParseAddr("127.179.0.1")
	member := "60 0000fde8 " + rt
	const rtc = "0001 84 04 7fb30001 00"
	// 311 memberships fill a message up to 4096 octets, nearly.
	many := strings.Repeat(member, 311)
	for _, tt := range []struct {
		name     string
		self     netip.Addr
		in, want []byte
	}{
		{"keepalive", self4, keepalive, keepalive},
		{
			"communities are unveiled", self4, update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, veiled+rt)),
			update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, mob+rt)),
		},
		{
			"what GoBGP adds goes", self4, update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, rt+veiled+"0600 0000 00000000")),
			update(origin, aspath, attr(0x80, 14, reach+mac), attr(0xc0, 16, rt+mob)),
		},
		{
			"next hop of a membership", self4, update(origin, aspath, attr(0x80, 14, rtc+member)),
			update(origin, aspath, attr(0x80, 14, "0001 84 04 c0000201 00"+member)),
		},
		{
			"over IPv6", self6, update(origin, aspath, attr(0x80, 14, rtc+member)),
			update(origin, aspath, attr(0x80, 14, "0001 84 10 20010db8000000000000000000000001 00"+member)),
		},
		{
			"over IPv6 without room", self6, update(origin, aspath, attr(0x80, 14, rtc+many)),
			update(origin, aspath, attr(0x80, 14, rtc+many)),
		},
		{
			"another next hop stays", self4, update(origin, aspath, attr(0x80, 14, reach+mac)),
			update(origin, aspath, attr(0x80, 14, reach+mac)),
		},
		{
			"unknown types are the peer's to judge", self4, update(origin, aspath, attr(0x80, 14, reach+smet)),
			update(origin, aspath, attr(0x80, 14, reach+smet)),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := scrub.Scrubber{Self: tt.self, Relay: relay}
			if got := s.Out(nil, tt.in); !bytes.Equal(got, tt.want) {
				t.Errorf("got  %.200x\nwant %.200x", got, tt.want)
			}
		})
	}
}

func TestIPv4PrefixesStay(t *testing.T) {
	// 10.1.0.0/16 withdrawn, 10.2.0.0/16 announced, and a type 6 route.
	attrs := x(origin + aspath + attr(0x80, 14, reach+smet))
	rest := x(origin + aspath)
	in := message(2, append(append(append(x("0003 100a01"), 0, byte(len(attrs))), attrs...), x("100a02")...))
	want := message(2, append(append(append(x("0003 100a01"), 0, byte(len(rest))), rest...), x("100a02")...))
	var s scrub.Scrubber
	if got := s.In(nil, in); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestLength(t *testing.T) {
	for _, tt := range []struct {
		head string
		n    int
		ok   bool
	}{
		{marker + "0013 04", 19, true},
		{marker + "ffff 02", 65535, true},
		{marker + "0012 04", 18, false},
		{"00" + marker[2:] + "0013 04", 0, false},
	} {
		if n, ok := scrub.Length(x(tt.head)); n != tt.n || ok != tt.ok {
			t.Errorf("%s: %d, %v, want %d, %v", tt.head, n, ok, tt.n, tt.ok)
		}
	}
}

func TestNotification(t *testing.T) {
	if got, want := scrub.AppendCease(nil, 9), message(3, x("06 09")); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestCleanAllocatesNothing: the usual message costs one copy.
func TestCleanAllocatesNothing(t *testing.T) {
	in := update(origin, aspath, attr(0x80, 14, reach+strings.Repeat(macip, 80)), attr(0xc0, 16, rt+mob))
	var s scrub.Scrubber
	out := make([]byte, 0, 8192)
	s.In(out, in) // sizes the scratch space
	if n := testing.AllocsPerRun(100, func() { s.In(out, in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzIn: whatever comes, the result is a message of its own length, and doing it
// twice changes nothing more.
func TestIdentifier(t *testing.T) {
	open := message(1, x("04 fde8 00b4 0aff0001 00"))
	if id, ok := scrub.Identifier(open[:scrub.IdentifierEnd]); !ok || id != 0x0aff0001 {
		t.Errorf("%#x, %v", id, ok)
	}
	noMarker := bytes.Clone(open)
	noMarker[3] = 0
	short := bytes.Clone(open)
	short[17] = scrub.IdentifierEnd - 1
	for name, head := range map[string][]byte{
		"cut": open[:scrub.IdentifierEnd-1], "update": message(2, make([]byte, 20)), "no marker": noMarker, "too short to be an OPEN": short, "nothing": nil,
	} {
		if id, ok := scrub.Identifier(head); ok {
			t.Errorf("%s: %#x", name, id)
		}
	}
}

func FuzzIn(f *testing.F) {
	for _, s := range []string{ad, mac, macip, macip6, imet, seg, pfx, pfx6, smet} {
		f.Add(update(origin, aspath, attr(0x80, 14, reach+s), attr(0xc0, 16, rt+mob))[19:])
		f.Add(update(attr(0x80, 15, "0019 46"+s))[19:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 4000 {
			return
		}
		var s scrub.Scrubber
		once := s.In(nil, message(2, body))
		if n, ok := scrub.Length(once); !ok || n != len(once) {
			t.Fatalf("length %d (%v) of %d bytes", n, ok, len(once))
		}
		if len(once) > 19+len(body)+64 {
			t.Fatalf("%d bytes became %d", 19+len(body), len(once))
		}
		// Veiled communities are refused from outside, so Out comes between.
		back := s.Out(nil, once)
		if again := s.In(nil, back); !bytes.Equal(again, once) {
			t.Fatalf("once  %x\ntwice %x", once, again)
		}
	})
}

func BenchmarkIn(b *testing.B) {
	in := update(origin, aspath, attr(0x80, 14, reach+strings.Repeat(macip, 80)), attr(0xc0, 16, rt+mob))
	out := make([]byte, 0, 8192)
	var s scrub.Scrubber
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		s.In(out, in)
	}
}
