package route_test

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/route"
	"github.com/ztos/ztos/bgp/scrub"
	"github.com/ztos/ztos/engine/table"
)

var (
	v4   = netip.MustParseAddr("10.0.0.1")
	v6   = netip.MustParseAddr("2001:db8::1")
	vtep = netip.MustParseAddr("10.255.0.1")
	rd   = evpn.NewRD(vtep, 7)
	mac  = table.MAC(0x020000000001)
	esi  = evpn.ESIFromMAC(0x020000000099, 5)
)

func rt(s string) evpn.RT {
	t, err := evpn.ParseRT(s)
	if err != nil {
		panic(err)
	}
	return t
}

// examples are routes with everything that each kind can have.
func examples() map[string]evpn.Route {
	base := func(f func(*evpn.Attrs)) evpn.Attrs {
		a := evpn.Attrs{
			NextHop: vtep, RTs: []evpn.RT{rt("65000:100"), rt("4200000000:7"), rt("192.0.2.1:9")},
			Encaps:     evpn.EncapVXLAN,
			Preference: evpn.Preference{LocalPref: 100},
		}
		f(&a)
		return a
	}
	return map[string]evpn.Route{
		"ad per evi": {Key: evpn.KeyOfAD(rd, esi, 0), Attrs: base(func(a *evpn.Attrs) { a.Label1 = 100 })},
		"ad per segment": {Key: evpn.KeyOfAD(rd, esi, evpn.MaxTag), Attrs: base(func(a *evpn.Attrs) {
			a.ESILabel = evpn.ESILabel{Present: true, SingleActive: true, Label: 0xabcdef}
		})},
		"mac": {Key: evpn.KeyOfMAC(rd, 0, mac, netip.Addr{}), Attrs: base(func(a *evpn.Attrs) { a.Label1 = 0xffffff })},
		"mac and ip": {Key: evpn.KeyOfMAC(rd, 5, mac, v4), Attrs: base(func(a *evpn.Attrs) {
			a.ESI, a.Label1, a.Label2, a.RouterMAC = esi, 100, 1000, 0x0200000000aa
			a.Mobility = evpn.Mobility{Present: true, Sticky: true, Seq: 0xfffffffe}
			a.Neighbour = evpn.Neighbour{Present: true, Bits: evpn.NeighbourRouter | evpn.NeighbourOverride}
		})},
		"mac and ipv6": {Key: evpn.KeyOfMAC(rd, 0, mac, v6), Attrs: base(func(a *evpn.Attrs) { a.Label1, a.IsGateway = 100, true })},
		"imet": {Key: evpn.KeyOfMulticast(rd, 0, vtep), Attrs: base(func(a *evpn.Attrs) {
			a.PMSI = evpn.PMSI{Present: true, Type: evpn.PMSIIngressReplication, VNI: 100, Endpoint: vtep}
		})},
		"imet of ipv6": {Key: evpn.KeyOfMulticast(rd, 0, v6), Attrs: base(func(a *evpn.Attrs) {
			a.NextHop = v6
			a.PMSI = evpn.PMSI{Present: true, Flags: 1, Type: evpn.PMSIIngressReplication, VNI: 100, Endpoint: v6}
		})},
		"segment": {Key: evpn.KeyOfSegment(rd, esi, vtep), Attrs: base(func(a *evpn.Attrs) {
			a.RTs, a.ESImport = nil, esi.Import()
			a.DF = evpn.DFElection{Present: true, Alg: evpn.DFHighest, Caps: evpn.CapDontPreempt | evpn.CapACDF, Preference: 32767}
		})},
		"prefix": {Key: evpn.KeyOfPrefix(rd, 0, netip.MustParsePrefix("10.1.0.0/16")), Attrs: base(func(a *evpn.Attrs) {
			a.Label1, a.RouterMAC = 1000, 0x0200000000aa
			a.Preference = evpn.Preference{LocalPref: 200, MED: 5, Origin: 2}
		})},
		"prefix with gateway": {Key: evpn.KeyOfPrefix(rd, 0, netip.MustParsePrefix("2001:db8:1::/48")), Attrs: base(func(a *evpn.Attrs) {
			a.NextHop, a.Gateway, a.ESI = v6, v6, esi
		})},
		"default route": {Key: evpn.KeyOfPrefix(rd, 0, netip.MustParsePrefix("0.0.0.0/0")), Attrs: base(func(a *evpn.Attrs) { a.Label1 = 1000 })},
	}
}

// wire sends attributes as an UPDATE through GoBGP's codec, as a session does.
func wire(t testing.TB, attrs []bgp.PathAttributeInterface) *bgp.BGPUpdate {
	t.Helper()
	b, err := bgp.NewBGPUpdateMessage(nil, attrs, nil).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	m, err := bgp.ParseBGPMessage(b)
	if err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	return m.Body.(*bgp.BGPUpdate)
}

// reach returns the NLRIs of an UPDATE's MP_REACH_NLRI.
func reach(u *bgp.BGPUpdate) []bgp.PathNLRI {
	for _, a := range u.PathAttributes {
		if r, ok := a.(*bgp.PathAttributeMpReachNLRI); ok {
			return r.Value
		}
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	for name, want := range examples() {
		t.Run(name, func(t *testing.T) {
			n, attrs, err := route.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			u := wire(t, attrs)
			got := reach(u)
			if len(got) != 1 || got[0].NLRI.String() != n.String() {
				t.Fatalf("NLRI %v, want %v", got, n)
			}
			var d route.Decoder
			r, err := d.Decode(got[0].NLRI, u.PathAttributes)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(r, want) {
				t.Errorf("got  %+v\nwant %+v", r, want)
			}
			// A withdrawal names the same route.
			w, err := route.NLRI(want.Key)
			if err != nil {
				t.Fatal(err)
			}
			if k, err := route.Key(w); err != nil || k != want.Key {
				t.Errorf("key of the withdrawal %v (%v), want %v", k, err, want.Key)
			}
		})
	}
}

// TestGolden: the bytes of a type 2 route as FRR 8.4.4 sends them for a host in
// VNI 100 with L3VNI 1000: encapsulation, two route targets, router's MAC.
func TestGolden(t *testing.T) {
	r := evpn.Route{
		Key: evpn.KeyOfMAC(rd, 0, mac, v4),
		Attrs: evpn.Attrs{
			NextHop: vtep, Label1: 100, Label2: 1000, Encaps: evpn.EncapVXLAN,
			RTs: []evpn.RT{rt("65000:100"), rt("65000:1000")}, RouterMAC: 0x0200000000aa,
		},
	}
	_, attrs, err := route.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	var s scrub.Scrubber
	msg, err := bgp.NewBGPUpdateMessage(nil, attrs, nil).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	got := hex.EncodeToString(s.Out(nil, msg)[23:])
	want := strings.ReplaceAll("40 01 01 00"+ // origin IGP
		" 40 02 00"+ // empty AS path
		" 80 0e 33 0019 46 04 0aff0001 00"+ // MP_REACH_NLRI: next hop
		" 02 28 00010aff00010007 00000000000000000000 00000000 30 020000000001 20 0a000001 000064 0003e8"+
		" d0 10 0020 030c000000000008 0002fde800000064 0002fde8000003e8 06030200000000aa", " ", "")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	ok := evpn.Attrs{NextHop: vtep}
	pmsi := ok
	pmsi.PMSI = evpn.PMSI{Present: true, Type: 1}
	badRT := ok
	badRT.RTs = []evpn.RT{{9, 9}}
	gw := ok
	gw.Gateway = v6
	for _, tt := range []struct {
		name, want string
		r          evpn.Route
	}{
		{"no next hop", "next hop", evpn.Route{Key: evpn.KeyOfMAC(rd, 0, mac, v4)}},
		{"unspecified next hop", "next hop", evpn.Route{Key: evpn.KeyOfMAC(rd, 0, mac, v4), Attrs: evpn.Attrs{NextHop: netip.IPv4Unspecified()}}},
		{"no kind", "no such NLRI", evpn.Route{Attrs: ok}},
		{"RD of type 3", "type above 2", evpn.Route{Key: evpn.KeyOfMAC(evpn.RD{0, 3}, 0, mac, v4), Attrs: ok}},
		{"no originator", "originator", evpn.Route{Key: evpn.KeyOfMulticast(rd, 0, netip.Addr{}), Attrs: ok}},
		{"no originator of a segment", "originator", evpn.Route{Key: evpn.KeyOfSegment(rd, esi, netip.Addr{}), Attrs: ok}},
		{"bad prefix", "no such NLRI", evpn.Route{Key: evpn.Key{Kind: evpn.Prefix, RD: rd, IP: v4, Bits: 40}, Attrs: ok}},
		{"gateway of the other family", "other family", evpn.Route{Key: evpn.KeyOfPrefix(rd, 0, netip.MustParsePrefix("10.0.0.0/8")), Attrs: gw}},
		{"PMSI of another type", "ingress replication", evpn.Route{Key: evpn.KeyOfMulticast(rd, 0, vtep), Attrs: pmsi}},
		{"route target of no form", "no known form", evpn.Route{Key: evpn.KeyOfMulticast(rd, 0, vtep), Attrs: badRT}},
	} {
		if _, _, err := route.Encode(tt.r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var d route.Decoder
	n, err := route.NLRI(evpn.KeyOfMAC(rd, 0, mac, v4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decode(n, nil); !errors.Is(err, route.ErrNLRI) {
		t.Errorf("without next hop: %v", err)
	}
	ip, err := route.UnicastNLRI(netip.MustParsePrefix("10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decode(ip, nil); !errors.Is(err, route.ErrNLRI) {
		t.Errorf("an IP prefix: %v", err)
	}
	if _, err := route.DecodeUnicast(n, nil); !errors.Is(err, route.ErrNLRI) {
		t.Errorf("an EVPN route as unicast: %v", err)
	}
}

func TestPreference(t *testing.T) {
	orig, err := bgp.NewPathAttributeOriginatorId(v4)
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := bgp.NewPathAttributeClusterList([]netip.Addr{v4, vtep})
	if err != nil {
		t.Fatal(err)
	}
	r := examples()["mac"]
	n, attrs, err := route.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	attrs = append(attrs[:0:0], attrs...)
	attrs[1] = bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{
		bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{65001, 4200000001}),
		bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SET, []uint32{1, 2, 3}),
	})
	attrs = append(attrs, orig, clusters, bgp.NewPathAttributeCommunities([]uint32{1, uint32(bgp.COMMUNITY_LLGR_STALE)}))
	var d route.Decoder
	got, err := d.Decode(n, wire(t, attrs).PathAttributes)
	if err != nil {
		t.Fatal(err)
	}
	want := evpn.Preference{LocalPref: 100, ASPathLen: 3, NeighbourAS: 65001, Originator: v4, ClusterLen: 2}
	if got.Attrs.Preference != want || !got.Attrs.Stale {
		t.Errorf("%+v, stale %v; want %+v, stale", got.Attrs.Preference, got.Attrs.Stale, want)
	}
}

// TestShared: routes of one UPDATE share their route targets; those of the next
// do not get them.
func TestShared(t *testing.T) {
	var d route.Decoder
	decode := func(r evpn.Route, attrs []bgp.PathAttributeInterface) evpn.Route {
		n, own, err := route.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if attrs == nil {
			attrs = own
		}
		got, err := d.Decode(n, attrs)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	ex := examples()
	_, attrs, err := route.Encode(ex["mac"])
	if err != nil {
		t.Fatal(err)
	}
	a, b := decode(ex["mac"], attrs), decode(ex["mac and ipv6"], attrs)
	if &a.Attrs.RTs[0] != &b.Attrs.RTs[0] {
		t.Error("two lists for one attribute")
	}
	if c := decode(ex["segment"], nil); len(c.Attrs.RTs) != 0 {
		t.Errorf("route targets %v of another route", c.Attrs.RTs)
	}
}

func TestUnicastRoundTrip(t *testing.T) {
	for _, want := range []route.Unicast{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), NextHop: vtep},
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), NextHop: vtep, ASPath: []uint32{65001, 4200000000}, Origin: 1, MED: 7, LocalPref: 50, Communities: []uint32{0xfde80001}},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), NextHop: v6, ASPath: []uint32{1}},
	} {
		n, attrs, err := route.EncodeUnicast(want)
		if err != nil {
			t.Fatal(err)
		}
		u := wire(t, attrs)
		if got := reach(u); len(got) != 1 || got[0].NLRI.String() != n.String() {
			t.Fatalf("NLRI %v, want %v", got, n)
		}
		got, err := route.DecodeUnicast(reach(u)[0].NLRI, u.PathAttributes)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v (%v)\nwant %+v", got, err, want)
		}
	}
	for _, bad := range []route.Unicast{
		{NextHop: vtep}, {Prefix: netip.MustParsePrefix("10.0.0.0/8")},
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), NextHop: vtep, ASPath: make([]uint32, 256)},
	} {
		if _, _, err := route.EncodeUnicast(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestMember(t *testing.T) {
	for _, tt := range []struct {
		rt   evpn.RT
		all  bool
		want string
	}{
		{rt("65000:100"), false, "600000fde80002fde800000064"},
		{rt("4200000000:7"), false, "600000fde80202fa56ea000007"},
		{evpn.RT{}, true, "00"},
	} {
		n, _, err := route.Member(65000, tt.rt, tt.all, vtep)
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Serialize()
		if err != nil || hex.EncodeToString(b) != tt.want {
			t.Errorf("%v, all %v: %x (%v), want %s", tt.rt, tt.all, b, err, tt.want)
		}
	}
}

// FuzzDecode feeds the attributes of an UPDATE, as a peer would send them, through
// scrub, GoBGP and Decode; what comes out must survive Encode.
func FuzzDecode(f *testing.F) {
	for _, r := range examples() {
		_, attrs, err := route.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		b, err := bgp.NewBGPUpdateMessage(nil, attrs, nil).Serialize()
		if err != nil {
			f.Fatal(err)
		}
		var s scrub.Scrubber
		f.Add(s.Out(nil, b)[scrub.HeaderLen:])
	}
	head := strings.Repeat("\xff", 16)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 4000 {
			return
		}
		n := scrub.HeaderLen + len(body)
		var s scrub.Scrubber
		msg := s.In(nil, append([]byte(head+string([]byte{byte(n >> 8), byte(n), scrub.Update})), body...))
		m, err := bgp.ParseBGPMessage(msg)
		if err != nil || m.Header.Type != bgp.BGP_MSG_UPDATE {
			return
		}
		u := m.Body.(*bgp.BGPUpdate)
		var d route.Decoder
		for _, p := range reach(u) {
			r, err := d.Decode(p.NLRI, u.PathAttributes)
			if err != nil || r.Attrs.PMSI.Present && r.Attrs.PMSI.Type != evpn.PMSIIngressReplication {
				continue
			}
			nlri, attrs, err := route.Encode(r)
			if err != nil {
				continue // a next hop or an endpoint that this node would not announce
			}
			again, err := d.Decode(nlri, attrs)
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			// What Encode does not send.
			r.Attrs.Stale = false
			again.Attrs.Preference, r.Attrs.Preference = evpn.Preference{}, evpn.Preference{}
			if !reflect.DeepEqual(again, r) {
				t.Fatalf("got  %+v\nwant %+v", again, r)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	n, attrs, err := route.Encode(examples()["mac and ip"])
	if err != nil {
		b.Fatal(err)
	}
	var d route.Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(n, attrs); err != nil {
			b.Fatal(err)
		}
	}
}
