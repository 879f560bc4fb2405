package nodetest

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// duplicates are what a new node has in quarantine.
func duplicates() []status.Duplicate {
	leaf2 := netip.MustParseAddr("10.255.0.2")
	return []status.Duplicate{
		{VNI: 10100, MAC: 0x020000000007, Newcomer: leaf2, Age: config.Duration(30 * time.Second), Left: config.Duration(150 * time.Second)},
		{VNI: 10100, MAC: 0x020000000008, Keeper: leaf2, Age: config.Duration(5 * time.Second)},
		{VNI: 10100, MAC: 0x020000000009, Address: netip.MustParseAddr("10.1.0.9"), Left: config.Duration(500 * time.Second)},
	}
}

// BGP implements server.Backend.
func (n *Node) BGP() status.BGP {
	return status.BGP{
		Enabled: true, AS: 65000, RouterID: netip.MustParseAddr("10.255.0.1"),
		Peers: []status.BGPPeer{
			{Name: "spine1", Address: netip.MustParseAddr("10.255.0.101"), AS: 65000, State: "established", Age: config.Duration(90 * time.Minute),
				Received: 12, Advertised: 3, RxMessages: 200, TxMessages: 190, Ignored: 1},
			{Address: netip.MustParseAddr("10.255.0.102"), AS: 65001, State: "active", Age: config.Duration(4 * time.Second), Restarting: true, Error: "hold timer expired"},
			{Name: "leaf9", Address: netip.MustParseAddr("10.255.0.9"), AS: 65000, Client: true, State: "idle"},
			{VRF: "red", Address: netip.MustParseAddr("10.9.0.2"), AS: 65101, State: "established", Age: config.Duration(time.Minute),
				Received: 9, Advertised: 4, RxMessages: 30, TxMessages: 20},
			{VRF: "blue", Address: netip.MustParseAddr("10.9.0.2"), AS: 65101, State: "active"}, // tenants may have the same
		},
		External: []status.ExternalVRF{{VRF: "red", AS: 65000, Routes: 7, Faults: []status.NamedCount{{Name: "not-allowed", Count: 2}, {Name: "own-as"}}}},
	}
}

// EVPN implements server.Backend.
func (n *Node) EVPN() status.EVPN {
	leaf2 := netip.MustParseAddr("10.255.0.2")
	return status.EVPN{
		Enabled: true, VTEP: netip.MustParseAddr("10.255.0.1"), Routes: 12, Paths: 24,
		Domains: []status.EVPNDomain{
			{VNI: 10100, Name: "red", RD: "10.255.0.1:10100", Import: []string{"65000:10100"}, Export: []string{"65000:10100"},
				VTEPs: []netip.Addr{leaf2}, Local: 2, Remote: 1,
				Suppression: &status.Suppression{Local: 3, Known: 5, Counts: []status.NamedCount{{Name: "answered", Count: 17}, {Name: "disputed", Count: 1}, {Name: "dropped"}}}},
			{VNI: 10200, Name: "blue", RD: "10.255.0.1:10200", Import: []string{"*:10200"}, Export: []string{"65000:10200", "10.255.0.1:7"}, Local: 1},
		},
		Refusals: []status.EVPNRefusal{
			{Reason: "no-route-target", Count: 2, Age: config.Duration(time.Hour)},
			{VTEP: netip.MustParseAddr("10.255.0.66"), VNI: 10100, Reason: "vni-not-granted", Count: 7, Route: "[3]:[0]:[10.255.0.66] 10.255.0.66:1",
				Age: config.Duration(2 * time.Second)},
		},
		Segments: []status.Segment{
			{Name: "host7", ESI: "00:11:22:33:44:55:66:77:88:99", Port: "h7", Mode: "all-active", Up: true, VNIs: []status.SegmentVNI{
				{VNI: 10100, Self: true, DF: netip.MustParseAddr("10.255.0.1"), Backup: leaf2, Peers: []netip.Addr{leaf2},
					Why: "VNI modulo 2 is its place by address, of 2 candidates"},
				{VNI: 10200, Peers: []netip.Addr{leaf2}, Why: "waits for what other leaves announce"},
			}},
			{Name: "host8", ESI: "03:02:00:00:00:00:aa:00:00:01", Port: "h8", Mode: "single-active"},
		},
		Groups: []status.SegmentGroup{
			{VNI: 10100, ESI: "00:11:22:33:44:55:66:77:88:99", Local: true, VTEPs: []netip.Addr{leaf2}},
			{VNI: 10100, ESI: "01:02:00:00:00:00:bb:00:05:00", VTEPs: []netip.Addr{leaf2}, Backup: []netip.Addr{netip.MustParseAddr("10.255.0.3")}},
		},
	}
}

// Moves implements server.Backend.
func (n *Node) Moves() []status.Move {
	leaf2 := netip.MustParseAddr("10.255.0.2")
	return []status.Move{
		{Kind: "moved", Age: config.Duration(time.Minute), VNI: 10100, MAC: 0x020000000001, From: leaf2, Port: "h1", Seq: 1},
		{Kind: "moved", Age: config.Duration(30 * time.Second), VNI: 10100, MAC: 0x020000000007, To: leaf2, Seq: 4},
		{Kind: "duplicate", Age: config.Duration(29 * time.Second), VNI: 10100, MAC: 0x020000000007, To: leaf2},
		{Kind: "duplicate-ip", Age: config.Duration(20 * time.Second), VNI: 10100, MAC: 0x020000000009, Address: netip.MustParseAddr("10.1.0.9")},
	}
}

// Duplicates implements server.Backend.
func (n *Node) Duplicates() []status.Duplicate {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.quarantine)
}

// Explain implements server.Backend: the MAC 02:00:00:00:00:01 is behind leaf2, where
// 10.1.0.2 is its address; 10.9.0.12 is reached by a contract; all else is nowhere.
func (n *Node) Explain(q status.ExplainQuery) status.Explanation {
	leaf2 := netip.MustParseAddr("10.255.0.2")
	if q.Address == netip.MustParseAddr("10.9.0.12") {
		return status.Explanation{Routed: []status.Routed{{
			Route: status.Route{VRF: "red", Prefix: netip.MustParsePrefix("10.9.0.12/32"), Origin: "contract", Kind: "forward", Best: true, Contract: "red-shared", From: "shared"},
			Ways: []status.Way{
				{Path: status.Path{VTEP: leaf2, VNI: 50900, MAC: 0x025b0aff0002}, Keys: &status.ExplainedKeys{
					Cipher: config.GCMAES256, TxSCI: config.SCI{0x0a, 7: 3}, TxSA: "0", RxSCs: []string{"0a00000000020003 AN 0"},
					Peers: []status.KeyPeer{{Name: "spine1", Carrier: config.CarrierWireGuard, PublicKey: config.PublicKey{1, 2, 3}, Usable: true}},
				}},
				{Path: status.Path{Host: netip.MustParseAddr("10.9.0.9"), VNI: 10902}, Why: "its MAC is not known: it is asked for"},
			},
		}, {
			Route: status.Route{VRF: "shared", Prefix: netip.MustParsePrefix("10.9.0.0/24"), Origin: "gateway", Kind: "connected", Best: true, VNI: 10902},
		}}}
	}
	if q.MAC != 0x020000000001 && q.Address != netip.MustParseAddr("10.1.0.2") || q.VNI != 0 && q.VNI != 10100 {
		return status.Explanation{Why: "no host here has it, and nobody announces it"}
	}
	p := status.Place{
		VNI: 10100, Name: "red", MAC: 0x020000000001, Address: q.Address, Kind: "vtep", VTEP: leaf2, Source: "evpn",
		Routes: []status.ExplainedRoute{
			{RD: "10.255.0.2:10100", MAC: 0x020000000001, NextHop: leaf2, Label: 10100, Seq: 3, RTs: []string{"65000:10100"},
				From: netip.MustParseAddr("10.255.0.101"), Best: true, Used: true},
			{RD: "10.255.0.2:10100", MAC: 0x020000000001, NextHop: leaf2, Label: 10100, Seq: 3, RTs: []string{"65000:10100"},
				From: netip.MustParseAddr("10.255.0.102")},
		},
		Keys: &status.ExplainedKeys{
			Cipher: config.GCMAES256, TxSCI: config.SCI{0x0a, 7: 1}, TxSA: "0", RxSCs: []string{"0a00000000020001 AN 0 1"},
			Peers: []status.KeyPeer{
				{Name: "spine1", Carrier: config.CarrierWireGuard, PublicKey: config.PublicKey{1, 2, 3}, Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"), Usable: true},
				{Name: "spine2", Carrier: config.CarrierWireGuard, PublicKey: config.PublicKey{4, 5, 6}},
			},
		},
	}
	return status.Explanation{Places: []status.Place{p}}
}

// ReleaseAddress implements server.Backend.
func (n *Node) ReleaseAddress(vni table.VNI, ip netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.quarantine)
	n.quarantine = slices.DeleteFunc(n.quarantine, func(d status.Duplicate) bool { return d.VNI == vni && d.Address == ip })
	return len(n.quarantine) < before
}

// ReleaseDuplicate implements server.Backend.
func (n *Node) ReleaseDuplicate(vni table.VNI, mac table.MAC) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.quarantine)
	n.quarantine = slices.DeleteFunc(n.quarantine, func(d status.Duplicate) bool { return d.VNI == vni && d.MAC == mac && !d.Address.IsValid() })
	return len(n.quarantine) < before
}
