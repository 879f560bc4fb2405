package scrub_test

import (
	"bytes"
	"testing"

	"github.com/ztos/ztos/bgp/scrub"
)

func TestEndOfRIB(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  []byte
		want bool
	}{
		{"EVPN", update(attr(0x80, 15, "0019 46")), true},
		{"IPv6", update(attr(0x80, 15, "0002 01")), true},
		{"IPv4", update(), true},
		{"route target membership", update(attr(0x80, 15, "0001 84")), false},
		{"withdrawal", update(attr(0x80, 15, "0019 46"+mac)), false},
		{"withdrawal of IPv4", message(2, x("0002 080a 0000")), false},
		{"IPv4 prefix", message(2, x("0000 0000 080a")), false},
		{"routes too", update(origin, attr(0x80, 15, "0019 46")), false},
		{"cut short", message(2, x("0000 0009 00")), false},
		{"attribute cut short", message(2, x("0000 0003 800f03")), false},
		{"keepalive", keepalive, false},
		{"no message", nil, false},
	} {
		if got := scrub.EndOfRIB(tt.msg); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

const (
	openHead = "04 fde8 0009 0aff0001"
	capEVPN  = "01 04 0019 00 46"
	capGR    = "40 0a 0078 0019 46 00 0001 84 00"
	capGRSet = "40 0a 8078 0019 46 80 0001 84 80"
)

func TestMarkRestarting(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"one parameter each", "14 02 06" + capEVPN + "02 0c" + capGR, "14 02 06" + capEVPN + "02 0c" + capGRSet},
		{"one for all", "14 02 12" + capGR + capEVPN, "14 02 12" + capGRSet + capEVPN},
		{"extended lengths", "ff ff 0015 02 0012" + capEVPN + capGR, "ff ff 0015 02 0012" + capEVPN + capGRSet},
		{"long-lived", "12 02 10 47 0e 0019 46 00 000e10 0001 84 01 000e10", "12 02 10 47 0e 0019 46 80 000e10 0001 84 81 000e10"},
		{"no family", "06 02 04 40 02 0078", "06 02 04 40 02 8078"},
		{"without", "08 02 06" + capEVPN, "08 02 06" + capEVPN},
		{"no parameters", "00", "00"},
		{"another parameter", "0e 01 0c" + capGR, "0e 01 0c" + capGR},
		{"capability cut short", "05 02 03 40 0a 00", "05 02 03 40 0a 00"},
		{"parameter cut short", "0e 02 ff" + capGR, "0e 02 ff" + capGR},
		{"extended, cut short", "ff ff 0002 02 00", "ff ff 0002 02 00"},
	} {
		msg := message(1, x(openHead+tt.in))
		scrub.MarkRestarting(msg)
		if want := message(1, x(openHead+tt.want)); !bytes.Equal(msg, want) {
			t.Errorf("%s: %x, want %x", tt.name, msg, want)
		}
	}
	for _, msg := range [][]byte{nil, keepalive, message(1, nil), message(2, x(openHead+"14 02 12"+capGR+capEVPN))} {
		was := bytes.Clone(msg)
		if scrub.MarkRestarting(msg); !bytes.Equal(msg, was) {
			t.Errorf("%x became %x", was, msg)
		}
	}
}

// FuzzMarkRestarting: whatever comes, the message keeps its length, and only gains
// bits of value 0x80.
func FuzzMarkRestarting(f *testing.F) {
	f.Add(x(openHead + "14 02 06" + capEVPN + "02 0c" + capGR))
	f.Add(x(openHead + "ff ff 0015 02 0012" + capEVPN + capGR))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 4000 {
			return
		}
		msg := message(1, body)
		was := bytes.Clone(msg)
		scrub.MarkRestarting(msg)
		for i := range msg {
			if msg[i] != was[i] && msg[i] != was[i]|0x80 {
				t.Fatalf("octet %d of %x became %#x", i, was, msg[i])
			}
		}
	})
}
