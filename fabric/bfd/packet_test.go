package bfd_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/ztos/ztos/fabric/bfd"
)

// raw returns the bytes of hex digits with spaces at will.
func raw(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The layout of RFC 5880 section 4.1, field by field.
var layouts = []struct {
	name string
	hex  string
	want bfd.Packet
}{
	{"down, nothing known", "20 40 03 18  11223344 00000000  000f4240 0000c350 00000000",
		bfd.Packet{State: bfd.Down, Mult: 3, Mine: 0x11223344, DesiredTx: 1000000, RequiredRx: 50000}},
	{"up, expired before, poll, independent", "21 e8 05 18  00000001 fffffffe  00002710 000f4240 00000000",
		bfd.Packet{Diag: bfd.DiagExpired, State: bfd.Up, Poll: true, Independent: true, Mult: 5, Mine: 1, Yours: 0xfffffffe, DesiredTx: 10000, RequiredRx: 1000000}},
	{"init, final, demand, echo", "28 92 ff 18  00000001 00000002  00000000 ffffffff 00000007",
		bfd.Packet{Diag: bfd.DiagReverse, State: bfd.Init, Final: true, Demand: true, Mult: 255, Mine: 1, Yours: 2, RequiredRx: 0xffffffff, RequiredEcho: 7}},
	{"admin down", "27 00 01 18  00000001 00000000  00000000 00000000 00000000",
		bfd.Packet{Diag: bfd.DiagAdmin, State: bfd.AdminDown, Mult: 1, Mine: 1}},
}

func TestLayout(t *testing.T) {
	for _, tt := range layouts {
		b := raw(t, tt.hex)
		var p bfd.Packet
		whole, fault := p.Decode(append(b, 1, 2, 3)) // padding of the carrier
		if fault != 0 || p != tt.want || !bytes.Equal(whole, b) {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, p, fault, tt.want)
		}
		if got := tt.want.Bytes(); !bytes.Equal(got, b) {
			t.Errorf("%s: % x, want % x", tt.name, got, b)
		}
	}
}

// TestChecks: each check of RFC 5880 section 6.8.6 refuses what it is for, under
// its own name, and nothing changes.
func TestChecks(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	a, b := w.a.status(), w.b.status()
	good := bfd.Packet{State: bfd.Up, Mult: 3, Mine: b.Mine, Yours: b.Yours, DesiredTx: 50000, RequiredRx: 50000}
	edit := func(fn func(b []byte)) []byte {
		x := good.Bytes()
		fn(x)
		return x
	}
	with := func(fn func(p *bfd.Packet)) []byte {
		p := good
		fn(&p)
		return p.Bytes()
	}
	seen := map[bfd.Stat]bool{}
	for _, tt := range []struct {
		name string
		from string
		ttl  uint8
		port uint16
		raw  []byte
		want bfd.Stat
	}{
		{name: "version 0", raw: edit(func(b []byte) { b[0] &= 0x1f }), want: bfd.RefusedVersion},
		{name: "version 2", raw: edit(func(b []byte) { b[0] = 0x40 }), want: bfd.RefusedVersion},
		{name: "empty", raw: []byte{}, want: bfd.RefusedVersion},
		{name: "23 bytes", raw: good.Bytes()[:23], want: bfd.RefusedLength},
		{name: "length 23", raw: edit(func(b []byte) { b[3] = 23 }), want: bfd.RefusedLength},
		{name: "length 25, authenticated", raw: append(edit(func(b []byte) { b[1] |= 4; b[3] = 25 }), 1), want: bfd.RefusedLength},
		{name: "length beyond the datagram", raw: edit(func(b []byte) { b[3] = 25 }), want: bfd.RefusedLength},
		{name: "multiplier 0", raw: with(func(p *bfd.Packet) { p.Mult = 0 }), want: bfd.RefusedMultiplier},
		{name: "multipoint", raw: with(func(p *bfd.Packet) { p.Multipoint = true }), want: bfd.RefusedMultipoint},
		{name: "my discriminator 0", raw: with(func(p *bfd.Packet) { p.Mine = 0 }), want: bfd.RefusedDiscriminator},
		{name: "unknown discriminator", raw: with(func(p *bfd.Packet) { p.Yours++ }), want: bfd.RefusedUnknown},
		{name: "up without discriminator", raw: with(func(p *bfd.Packet) { p.Yours = 0 }), want: bfd.RefusedState},
		{name: "init without discriminator", raw: with(func(p *bfd.Packet) { p.Yours, p.State = 0, bfd.Init }), want: bfd.RefusedState},
		{name: "a stranger", from: "10.0.0.9", raw: with(func(p *bfd.Packet) { p.Yours, p.State = 0, bfd.Down }), want: bfd.RefusedStranger},
		{name: "the other kind of session", port: bfd.MultihopPort, raw: with(func(p *bfd.Packet) { p.Yours, p.State = 0, bfd.Down }), want: bfd.RefusedStranger},
		{name: "from another address", from: "10.0.0.9", raw: good.Bytes(), want: bfd.RefusedSource},
		{name: "from a router away", ttl: 254, raw: good.Bytes(), want: bfd.RefusedTTL},
		{name: "authenticated", raw: append(edit(func(b []byte) { b[1] |= 4; b[3] = 26 }), 1, 2), want: bfd.RefusedAuthSurplus},
	} {
		arrival := bfd.Arrival{From: a.Remote, TTL: 255, Port: bfd.SingleHopPort, Payload: tt.raw}
		if tt.from != "" {
			arrival.From = netip.MustParseAddr(tt.from)
		}
		if tt.ttl != 0 {
			arrival.TTL = tt.ttl
		}
		if tt.port != 0 {
			arrival.Port = tt.port
		}
		sum := func() uint64 { return w.a.status().Stats[tt.want] + w.a.Stats()[tt.want] }
		before := sum()
		out, got := w.a.Receive(w.now, &arrival)
		if got != tt.want || sum() != before+1 || len(out) != 0 {
			t.Errorf("%s: %v, counted %d times, %d answers; want %v", tt.name, got, sum()-before, len(out), tt.want)
		}
		now := w.a.status()
		now.Stats, a.Stats = bfd.Stats{}, bfd.Stats{}
		if now != a {
			t.Errorf("%s: the session changed: %+v, was %+v", tt.name, now, a)
		}
		seen[tt.want] = true
	}
	if _, got := w.a.Receive(w.now, &bfd.Arrival{From: a.Remote, TTL: 255, Port: 3784, Payload: good.Bytes()}); got != bfd.Received {
		t.Errorf("the packet that all are made of: %v", got)
	}
	for s := bfd.RefusedTTL; s < bfd.RefusedAuthMissing; s++ {
		if !seen[s] {
			t.Errorf("no packet was refused as %v", s)
		}
	}
}

// TestMultihop: a session over several hops takes packets from as far as it is
// configured for, and no further.
func TestMultihop(t *testing.T) {
	w := newWorld(t, func(a, b *bfd.Config) { a.Hops, b.Hops = 2, 2 })
	w.ttl = 254
	w.up()
	w.ttl = 253
	w.run(5 * sec)
	w.a.want(t, "three hops away", bfd.Down)
	if w.a.status().Stats[bfd.RefusedTTL] == 0 {
		t.Error("not counted")
	}
	c := w.a.Table.Status()[0]
	if c.Hops != 2 {
		t.Errorf("%+v", c)
	}
	// One end of each kind do not meet.
	w = newWorld(t, func(a, _ *bfd.Config) { a.Hops = 2 })
	w.run(10 * sec)
	w.a.want(t, "against a session of one hop", bfd.Down)
}

func TestNames(t *testing.T) {
	names := map[string]bool{}
	for s := bfd.Stat(1); int(s) < bfd.NumStats; s++ {
		if names[s.String()] || s.String() == "" {
			t.Errorf("stat %d is named %q", s, s)
		}
		names[s.String()] = true
	}
	for d := bfd.DiagNone; d <= bfd.DiagReverse; d++ {
		if names[d.String()] || d.String() == "" {
			t.Errorf("diagnostic %d is named %q", d, d)
		}
		names[d.String()] = true
	}
	for _, s := range []string{bfd.Stat(200).String(), bfd.Stat(0).String(), bfd.Diag(31).String(), bfd.State(9).String(), bfd.AuthType(9).String()} {
		if s == "" || names[s] {
			t.Errorf("%q", s)
		}
	}
}

// FuzzReceive: whatever comes, nothing panics, a refused packet changes nothing,
// what was read is written the same, and a session can still come up.
func FuzzReceive(f *testing.F) {
	for _, tt := range layouts {
		f.Add(raw(f, tt.hex), uint8(255), true)
	}
	f.Add(raw(f, "20 44 03 34 11223344 00000000 000f4240 0000c350 00000000 051c0100 00000001"+strings.Repeat("00", 20)), uint8(255), true)
	f.Add(raw(f, "20 44 03 1a 11223344 00000000 000f4240 0000c350 00000000 0402"), uint8(1), false)
	f.Fuzz(func(t *testing.T, b []byte, ttl uint8, single bool) {
		var p bfd.Packet
		if whole, fault := p.Decode(b); fault == 0 && !p.Auth && len(whole) == 24 && !bytes.Equal(p.Bytes(), whole) {
			t.Errorf("% x was read as %+v and written as % x", whole, p, p.Bytes())
		}
		for _, auth := range []bfd.Auth{{}, {Type: bfd.MeticulousSHA1, KeyID: 1, Key: key("k")}} {
			c := session("10.0.0.2")
			c.Auth = auth
			table := bfd.NewTable(dice(3))
			if _, err := table.Apply(1, []bfd.Config{c}); err != nil {
				t.Fatal(err)
			}
			before := table.Status()[0]
			port := uint16(bfd.MultihopPort)
			if single {
				port = bfd.SingleHopPort
			}
			out, got := table.Receive(sec, &bfd.Arrival{From: c.Remote, TTL: ttl, Port: port, Payload: b})
			after := table.Status()[0]
			if got != bfd.Received && len(out) > 0 {
				t.Errorf("%v, and answered", got)
			}
			before.Stats, after.Stats = bfd.Stats{}, bfd.Stats{}
			if got != bfd.Received && before != after {
				t.Errorf("%v, and %+v became %+v", got, before, after)
			}
			for now := sec; now < 10*sec; now += 500 * ms {
				table.Tick(now)
			}
		}
	})
}
