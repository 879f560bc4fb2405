//go:build netns

package frr_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// TestSegment: what a leaf announces of an Ethernet segment, types 1 and 4 and a MAC
// behind it, FRR takes, with what decides an election, and lets go of when the
// segment's link is lost. FRR 8.4.4 has segments of its own on bonds only, which not
// every kernel has: what it announces of one is not seen here.
func TestSegment(t *testing.T) {
	b := newBed(t)
	r := newRouter(t, b.them, leafConf(""))
	n := newNode(t, b.us, speaker(nil))
	n.up()
	r.established(ours)

	rt, _ := evpn.NewRT(65000, 100)
	esi := evpn.ESIFromMAC(0x0200000000aa, 7)
	s := evpn.New()
	if err := s.Configure(0, evpn.Config{
		VTEP: ours, RouterID: ours,
		BDs: []evpn.BD{{VNI: 100, RD: evpn.NewRD(ours, 100), Import: []evpn.Import{evpn.Exact(rt)}, Export: []evpn.RT{rt}}},
		Segments: []evpn.EthernetSegment{{
			ESI: esi, VNIs: []table.VNI{100}, DF: evpn.DFElection{Alg: evpn.DFHighest, Preference: 321},
		}},
	}); err != nil {
		t.Fatal(err)
	}
	tell := func() {
		t.Helper()
		for _, c := range s.Flush(0).Routes {
			err := n.Announce([]evpn.Route{c.Route})
			if c.Withdraw {
				err = n.Withdraw([]evpn.Key{c.Route.Key})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	s.SegmentUp(0, esi)
	if v := s.Learn(0, evpn.LocalMAC{VNI: 100, MAC: 0x020000000007, IP: netip.MustParseAddr("10.0.0.7"), Port: 1, ESI: esi}); v != evpn.Accepted {
		t.Fatal(v)
	}
	tell()
	perES, es := "[1]:[4294967295]:["+esi.String()+"]", "[4]:["+esi.String()+"]:[32]:["+ours.String()+"]"
	r.has(true, perES, "[1]:[0]:["+esi.String()+"]", es, "[2]:[0]:[48]:[02:00:00:00:00:07]", "ES-Import-Rt:02:00:00:00:00:aa", "pref: 321")
	r.until("FRR knows who is on the segment", func() bool {
		out := r.bgp("show bgp l2vpn evpn es")
		return strings.Contains(out, esi.String()) && strings.Contains(out, ours.String())
	})
	s.SegmentDown(0, esi)
	tell()
	r.has(false, perES, es, "[02:00:00:00:00:07]")
}
