package wireguard

import (
	"encoding/binary"
	"net/netip"

	"github.com/gaissmai/bart"
)

// linearPrefixes is up to how many prefixes a scan beats a trie: about 0.4 ns a
// prefix against 9 ns and more a lookup (BenchmarkAllowedIPs).
const linearPrefixes = 12

// AllowedIPs is the set of inner source addresses that a peer may use. It is
// immutable; a nil set allows nothing.
type AllowedIPs struct {
	prefixes []netip.Prefix
	v4       []prefix4
	v6       []prefix6
	trie     *bart.Lite // instead of v4 and v6, for many prefixes
}

type prefix4 struct{ addr, mask uint32 } // host order

type prefix6 struct{ hi, lo, maskHi, maskLo uint64 } // host order

// NewAllowedIPs returns the set of all addresses in the prefixes. Host bits are
// cut off; IPv4-mapped prefixes and invalid ones are ignored.
func NewAllowedIPs(prefixes []netip.Prefix) *AllowedIPs {
	a := &AllowedIPs{}
	for _, p := range prefixes {
		if p.IsValid() && !p.Addr().Is4In6() {
			a.prefixes = append(a.prefixes, p.Masked())
		}
	}
	if len(a.prefixes) > linearPrefixes {
		a.trie = &bart.Lite{}
		for _, p := range a.prefixes {
			a.trie.Insert(p)
		}
		return a
	}
	for _, p := range a.prefixes {
		if p.Addr().Is4() {
			b := p.Addr().As4()
			a.v4 = append(a.v4, prefix4{
				addr: binary.BigEndian.Uint32(b[:]),
				mask: uint32(uint64(0xffffffff) << (32 - p.Bits())),
			})
			continue
		}
		b := p.Addr().As16()
		q := prefix6{hi: binary.BigEndian.Uint64(b[:]), lo: binary.BigEndian.Uint64(b[8:])}
		q.maskHi = ^uint64(0) << max(0, 64-p.Bits()) // a shift of 64 gives 0
		q.maskLo = ^uint64(0) << min(64, 128-p.Bits())
		a.v6 = append(a.v6, q)
	}
	return a
}

// Prefixes returns the prefixes of the set, masked. The caller must not change
// them.
func (a *AllowedIPs) Prefixes() []netip.Prefix {
	if a == nil {
		return nil
	}
	return a.prefixes
}

// Contains reports whether addr is in the set. Worker.
//
// Hot path: no allocation.
func (a *AllowedIPs) Contains(addr netip.Addr) bool {
	if a == nil {
		return false
	}
	if a.trie != nil {
		return a.trie.Contains(addr)
	}
	if addr.Is4() {
		b := addr.As4()
		return a.has4(binary.BigEndian.Uint32(b[:]))
	}
	b := addr.As16()
	return a.has6(binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:]))
}

// AllowsSource reports whether the source address of packet is in the set.
// packet is a whole IPv4 or IPv6 packet, as Inner returns it. Worker.
//
// Hot path: no allocation.
func (a *AllowedIPs) AllowsSource(packet []byte) bool {
	if a == nil || len(packet) < 20 {
		return false
	}
	switch packet[0] >> 4 {
	case 4:
		if a.trie != nil {
			return a.trie.Contains(netip.AddrFrom4([4]byte(packet[12:16])))
		}
		return a.has4(binary.BigEndian.Uint32(packet[12:]))
	case 6:
		if len(packet) < 40 {
			return false
		}
		if a.trie != nil {
			return a.trie.Contains(netip.AddrFrom16([16]byte(packet[8:24])))
		}
		return a.has6(binary.BigEndian.Uint64(packet[8:]), binary.BigEndian.Uint64(packet[16:]))
	}
	return false
}

func (a *AllowedIPs) has4(x uint32) bool {
	for _, p := range a.v4 {
		if x&p.mask == p.addr {
			return true
		}
	}
	return false
}

func (a *AllowedIPs) has6(hi, lo uint64) bool {
	for i := range a.v6 {
		p := &a.v6[i]
		if hi&p.maskHi == p.hi && lo&p.maskLo == p.lo {
			return true
		}
	}
	return false
}
