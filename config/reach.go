package config

import (
	"iter"
	"net/netip"
)

// Reach tells which peers lead to an address, by their allowed IPs or, for plain
// peers, their own address: Peer.Reaches for all peers at once, at the cost of
// one map lookup for each prefix length in use. Immutable; any goroutine.
type Reach struct {
	peers []Peer
	at    map[netip.Prefix][]int // masked prefix -> indices of peers
	// lengths of the prefixes in at, by family.
	four, six []int
}

// Reach returns the index of n's peers, which must not change afterwards.
func (n *Node) Reach() *Reach {
	r := &Reach{peers: n.Peers, at: make(map[netip.Prefix][]int, len(n.Peers))}
	seen4, seen6 := map[int]bool{}, map[int]bool{}
	for i := range n.Peers {
		p := &n.Peers[i]
		for _, pfx := range p.AllowedIPs {
			r.add(pfx, i, seen4, seen6)
		}
		if a := p.Endpoint.Addr(); p.Carrier == CarrierPlain && a.IsValid() {
			r.add(netip.PrefixFrom(a, a.BitLen()), i, seen4, seen6)
		}
	}
	return r
}

func (r *Reach) add(pfx netip.Prefix, i int, seen4, seen6 map[int]bool) {
	if !pfx.IsValid() {
		return
	}
	key, bits := pfx.Masked(), pfx.Bits()
	if list := r.at[key]; len(list) == 0 || list[len(list)-1] != i {
		r.at[key] = append(list, i)
	}
	seen, lengths := seen6, &r.six
	if key.Addr().Is4() {
		seen, lengths = seen4, &r.four
	}
	if !seen[bits] {
		seen[bits] = true
		*lengths = append(*lengths, bits)
	}
}

// Peers returns the peers that lead to a; one that does so by prefixes of
// several lengths comes once for each.
func (r *Reach) Peers(a netip.Addr) iter.Seq[*Peer] {
	return func(yield func(*Peer) bool) {
		lengths := r.six
		if a.Is4() {
			lengths = r.four
		}
		for _, bits := range lengths {
			pfx, err := a.Prefix(bits)
			if err != nil {
				return // a is not valid, or has a zone
			}
			for _, i := range r.at[pfx] {
				if !yield(&r.peers[i]) {
					return
				}
			}
		}
	}
}

// Any reports whether a peer leads to a.
func (r *Reach) Any(a netip.Addr) bool {
	for range r.Peers(a) {
		return true
	}
	return false
}
