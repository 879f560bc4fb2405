package evpn_test

import (
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// step does what six bytes say: for fuzzing.
func step(n *node, op []byte, c evpn.Config) {
	n.t.Helper()
	n.time += int64(op[0] >> 5)
	peer := evpn.PeerID(2 + op[1]%2)
	r := remote{n, peer, int(peer)}
	vni := []table.VNI{vni100, vni200}[op[2]%2]
	mac := host(int(op[3] % 4))
	esi := []evpn.ESI{{}, es1, evpn.MaxESI}[op[4]%3]
	ips := []netip.Addr{{}, addr("192.0.2.1"), addr("192.0.2.2"), addr("2001:db8::1")}
	ip := ips[op[5]%4]
	switch op[0] % 32 / 2 {
	case 0, 1, 2:
		n.learnMAC(n.time, evpn.LocalMAC{VNI: vni, MAC: mac, IP: ip, ESI: esi, Port: uint32(op[5] >> 4),
			Sticky: op[4]>>6 == 3, Gateway: op[4]>>6 == 2, Silent: op[4]>>6 == 1 && op[5] > 128})
	case 3:
		n.Forget(n.time, vni, mac, ip)
	case 4:
		n.PeerUp(peerOf(int(peer)))
	case 5:
		n.PeerDown(n.time, peer, op[2]%2 == 0)
	case 6:
		n.EndOfRIB(n.time, peer)
	case 7:
		n.Tick(n.time)
	case 8:
		if op[2]%2 == 0 {
			n.SegmentUp(n.time, es1)
		} else {
			n.SegmentDown(n.time, es1)
		}
	case 9:
		n.Release(n.time, vni, mac)
	case 10:
		x := c
		switch op[2] % 4 {
		case 0:
			x.BDs = x.BDs[1:]
			x.Segments = nil
		case 1:
			x.Grants = nil
		case 2:
			x.VRFs = nil
			x.BDs = []evpn.BD{c.BDs[0], c.BDs[1]}
			x.BDs[0].VRF, x.BDs[1].VRF = 0, 0
		}
		n.configure(n.time, x)
	case 11:
		p := evpn.LocalPrefix{VRF: red, Prefix: netip.PrefixFrom(addr("198.51.100.0"), int(op[3]%33))}
		if op[2]%2 == 0 {
			n.AddPrefix(p)
		} else {
			n.RemovePrefix(red, p.Prefix)
		}
	default:
		k, a := routeOf(r, op, vni, mac, esi, ip)
		n.Update(n.time, []evpn.Update{{Peer: peer, Withdraw: op[1]%4 == 0, Route: evpn.Route{Key: k, Attrs: a}}})
	}
}

// routeOf makes a route of bytes; some are wrong.
func routeOf(r remote, op []byte, vni table.VNI, mac table.MAC, esi evpn.ESI, ip netip.Addr) (evpn.Key, evpn.Attrs) {
	all := []evpn.RT{{0, 2, 0xfd, 0xe8, 0, 0, 0, 100}, {0, 2, 0xfd, 0xe8, 0, 0, 0, 200}, {0, 2, 0xfd, 0xe8, 0, 0, 0x13, 0x88}}
	a := r.attrs(all[op[1]>>2%2 : 1+op[1]>>3%3]...)
	a.Label1, a.ESI = vni, esi
	a.Mobility = evpn.Mobility{Present: op[2]&2 != 0, Sticky: op[2]&0xe0 == 0xe0, Seq: uint32(op[2] >> 2 & 7)}
	if op[2]&2 == 0 {
		a.Mobility = evpn.Mobility{}
	}
	rd := r.rd(vni)
	switch op[5] >> 2 % 6 {
	case 0, 1:
		a.Label2, a.RouterMAC = l3vni, routerMAC(r.i)
		a.IsGateway = op[4] > 250
		a.Neighbour = evpn.Neighbour{Present: op[4]&8 != 0, Bits: evpn.NeighbourBits(op[4] >> 4)}
		return evpn.KeyOfMAC(rd, 0, mac, ip), a
	case 2:
		a.PMSI = evpn.PMSI{Present: true, Type: 6, VNI: vni}
		return evpn.KeyOfMulticast(rd, 0, vtep(r.i)), a
	case 3:
		a.ESILabel = evpn.ESILabel{Present: true, SingleActive: op[3]&1 != 0}
		tag := []uint32{0, evpn.MaxTag}[op[3]>>1&1]
		return evpn.KeyOfAD(rd, es1, tag), a
	case 4:
		a.ESImport = es1.Import()
		a.DF = evpn.DFElection{Present: true, Alg: evpn.DFAlg(op[3] % 4), Preference: uint16(op[4]), Caps: evpn.DFCaps(op[3]) << 8}
		return evpn.KeyOfSegment(rd, es1, vtep(r.i)), a
	}
	a.RouterMAC, a.Label1 = routerMAC(r.i), l3vni
	if ip.IsValid() && op[3]&1 != 0 {
		a.Gateway = ip
	}
	return evpn.KeyOfPrefix(rd, 0, netip.PrefixFrom(addr("198.51.100.0"), int(op[3]%33))), a
}

// drain lets all peers and hosts go and wants nothing left.
func drain(n *node, c evpn.Config) {
	n.t.Helper()
	n.configure(n.time, c)
	for _, p := range []evpn.PeerID{2, 3} {
		n.PeerDown(n.time, p, false)
	}
	n.SegmentDown(n.time, es1)
	for _, vni := range []table.VNI{vni100, vni200} {
		for i := range 4 {
			n.Forget(n.time, vni, host(i), netip.Addr{})
			n.Release(n.time, vni, host(i))
		}
	}
	for bits := range 33 {
		n.RemovePrefix(red, netip.PrefixFrom(addr("198.51.100.0"), bits))
	}
	n.flush(n.time)
	n.time += 1000
	n.Tick(n.time)
	n.flush(n.time)
	keys, paths := n.Routes()
	left := len(n.macs) + len(n.groups) + len(n.neighbours) + len(n.floods) + len(n.prefixes) + len(n.segments)
	if keys+paths+left != 0 || len(n.announced) != 2 {
		n.t.Errorf("left over: %d keys, %d paths, %v %v %v %v %v %v, announced %v", keys, paths, n.macs, n.groups,
			n.neighbours, n.floods, n.prefixes, n.segments, n.announced)
	}
	if m := n.Size(); m != (evpn.Size{BDs: 2, VRFs: 1, Segments: 1}) {
		n.t.Errorf("left over inside: %+v", m)
	}
}
