package config

import (
	"net/netip"
	"time"

	"github.com/ztos/ztos/fabric/bfd"
)

// BFD is the `bfd` section: sessions that find within some hundred milliseconds
// that a neighbour, or the path to it, is dead. Flows take other paths then, and
// BGP is told.
type BFD struct {
	// Where sessions run: fabric (inside WireGuard, from `node.address`, in the
	// stack that `host.mode` names) or underlay (the host's network, bare).
	// Default: where BGP's run, else fabric.
	Transport BGPTransport `yaml:"transport"`
	// Time between packets to a neighbour, 10ms to 60s, whole microseconds.
	// Default 50ms.
	TxInterval Duration `yaml:"tx-interval"`
	// Least time between packets that the node is ready for, 10ms to 60s, whole
	// microseconds. Default 50ms.
	RxInterval Duration `yaml:"rx-interval"`
	// Packets lost before a session is down, 2 to 255. Default 3.
	Multiplier int `yaml:"multiplier"`
	// How long a session that failed must be up again before flows take the path
	// again, 0s to 1h. Default 1s.
	HoldUp *Duration `yaml:"hold-up"`
	// The neighbours. Default: those of `bgp`, unnumbered ones at the one
	// host route that is their peer's alone.
	Neighbors []BFDNeighbor `yaml:"neighbors"`
}

// BFDNeighbor is a BFD session.
type BFDNeighbor struct {
	// The neighbour's name, unique: 1 to 32 of a-z, 0-9 and hyphen. Default: that
	// of the neighbour of `bgp` with the address, of the peer whose host route the
	// address is, or the address with hyphens.
	Name string `yaml:"name"`
	// Its address, unique. Required.
	Address netip.Addr `yaml:"address"`
	// Most hops to it: 1 for a session with a peer (RFC 5881), 2 to 255 for one
	// with a node behind it (RFC 5883). Packets from further are refused. Default
	// 1 when the address is a host route of one peer alone, else 2.
	Hops int `yaml:"hops"`
	// As in `bfd`. Default: what that says.
	TxInterval Duration `yaml:"tx-interval"`
	// As in `bfd`. Default: what that says.
	RxInterval Duration `yaml:"rx-interval"`
	// As in `bfd`. Default: what that says.
	Multiplier int `yaml:"multiplier"`
	// File with a key that authenticates packets, mode 0600, 1 to 20 bytes of
	// text. Optional.
	KeyFile string `yaml:"key-file"`
	// Number of the key, 0 to 255, the same at both ends. Default 1.
	KeyID *uint8 `yaml:"key-id"`
	// How the key is used: keyed-sha1, or meticulous-keyed-sha1, in which no
	// packet counts twice. Default meticulous-keyed-sha1.
	Authentication BFDAuth `yaml:"authentication"`
	// Keeps the session administratively down. Default false.
	Shutdown Switch `yaml:"shutdown"`
}

// BFDAuth is a way to authenticate BFD. The zero value means that the document does
// not say.
type BFDAuth uint8

// The values of BFDAuth.
const (
	BFDKeyedSHA1 BFDAuth = iota + 1
	BFDMeticulousSHA1
)

var bfdAuthWords = []string{bfd.KeyedSHA1.String(), bfd.MeticulousSHA1.String()}

// String returns the word of the document, empty for the zero value.
func (v BFDAuth) String() string { return enumString(uint8(v), bfdAuthWords) }

// MarshalText returns String.
func (v BFDAuth) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v.
func (v *BFDAuth) UnmarshalText(b []byte) error {
	n, err := parseEnum("way to authenticate BFD", string(b), bfdAuthWords)
	*v = BFDAuth(n)
	return err
}

// Type returns v as BFD has it.
func (v BFDAuth) Type() bfd.AuthType {
	switch v {
	case BFDKeyedSHA1:
		return bfd.KeyedSHA1
	case BFDMeticulousSHA1:
		return bfd.MeticulousSHA1
	}
	return bfd.NoAuth
}

const (
	bfdInterval   = Duration(50 * time.Millisecond)
	bfdMultiplier = 3
	bfdHoldUp     = Duration(time.Second)
)

// Shared returns what can't change while a node runs: whether there is BFD, and
// where.
func (b *BFD) Shared() any {
	if b == nil {
		return nil
	}
	return b.Transport
}

// bfdDefaults fills in the section; bgpDefaults was there before.
func (n *Node) bfdDefaults() {
	b := n.BFD
	if b == nil {
		return
	}
	if n.BGP != nil {
		set(&b.Transport, n.BGP.Transport)
		if len(b.Neighbors) == 0 {
			for i := range n.BGP.Neighbors {
				x := &n.BGP.Neighbors[i]
				y := BFDNeighbor{Address: x.Address}
				if x.Peer != "" {
					y = BFDNeighbor{Name: x.Name, Address: n.peerAddress(x.Peer)}
				}
				b.Neighbors = append(b.Neighbors, y)
			}
		}
	}
	set(&b.Transport, BGPFabric)
	set(&b.TxInterval, bfdInterval)
	set(&b.RxInterval, bfdInterval)
	set(&b.Multiplier, bfdMultiplier)
	setPtr(&b.HoldUp, bfdHoldUp)
	for i := range b.Neighbors {
		x := &b.Neighbors[i]
		if y := n.Watched(x); y != nil {
			set(&x.Name, y.Name)
		}
		set(&x.Name, n.neighborName(x.Address))
		hops := 2
		if _, ok := n.HostPeer(x.Address); ok || b.Transport == BGPUnderlay {
			hops = 1
		}
		set(&x.Hops, hops)
		set(&x.TxInterval, b.TxInterval)
		set(&x.RxInterval, b.RxInterval)
		set(&x.Multiplier, b.Multiplier)
		set(&x.Shutdown, Off)
		if x.KeyFile != "" {
			setPtr(&x.KeyID, 1)
			set(&x.Authentication, BFDMeticulousSHA1)
		}
	}
}

// peerAddress returns the one host route of a peer's that no other peer has, of the
// family of the node's address; the zero Addr when there is none, or several: then
// one of them is that of a node behind the peer.
func (n *Node) peerAddress(peer string) (a netip.Addr) {
	for i := range n.Peers {
		if n.Peers[i].Name != peer {
			continue
		}
		for _, pfx := range n.Peers[i].AllowedIPs {
			if !pfx.IsSingleIP() || pfx.Addr().Is4() != n.Self.Address.Is4() {
				continue
			}
			if name, own := n.HostPeer(pfx.Addr()); !own || name != peer {
				continue
			}
			if a.IsValid() {
				return netip.Addr{}
			}
			a = pfx.Addr()
		}
	}
	return a
}

// Watched returns the neighbour of `bgp` that x watches: that with the address, or
// the unnumbered one whose peer alone has the address, unless x has another name or is
// over several hops: then it watches somebody behind that peer. nil when there is none.
func (n *Node) Watched(x *BFDNeighbor) *Neighbor {
	if n.BGP == nil {
		return nil
	}
	peer, own := n.HostPeer(x.Address)
	for i := range n.BGP.Neighbors {
		y := &n.BGP.Neighbors[i]
		if y.Peer == "" && y.Address == x.Address ||
			y.Peer != "" && own && y.Peer == peer && x.Hops <= 1 && (x.Name == "" || x.Name == y.Name) {
			return y
		}
	}
	return nil
}

// HostPeer returns the name of the peer that alone has a as a host route: a is its
// own address then.
func (n *Node) HostPeer(a netip.Addr) (name string, ok bool) {
	for i := range n.Peers {
		p := &n.Peers[i]
		if p.Carrier == CarrierPlain {
			continue
		}
		for _, pfx := range p.AllowedIPs {
			if !pfx.IsSingleIP() || pfx.Addr() != a {
				continue
			}
			if ok && name != p.Name {
				return "", false
			}
			name, ok = p.Name, true
		}
	}
	return name, ok
}
