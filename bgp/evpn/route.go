package evpn

import (
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// Kind is an EVPN route type.
type Kind uint8

const (
	AutoDiscovery Kind = 1 // Ethernet A-D, per segment or per EVI
	MACIP         Kind = 2 // MAC/IP advertisement
	Multicast     Kind = 3 // inclusive multicast Ethernet tag
	Segment       Kind = 4 // Ethernet segment
	Prefix        Kind = 5 // IP prefix (RFC 9136)
)

// String returns the type's name.
func (k Kind) String() string {
	switch k {
	case AutoDiscovery:
		return "ethernet-ad"
	case MACIP:
		return "mac-ip"
	case Multicast:
		return "multicast"
	case Segment:
		return "segment"
	case Prefix:
		return "prefix"
	}
	return fmt.Sprintf("type-%d", uint8(k))
}

// MaxTag is the Ethernet tag of type 1 routes per segment (RFC 7432 section
// 8.2.1).
const MaxTag uint32 = 1<<32 - 1

// Key is the part of a route's NLRI that tells routes apart; BGP holds one path
// of a peer for each. Keys are comparable; unused fields are zero. Segment
// identifiers, labels and gateways of types 2 and 5 are not in it: RFC 7432
// section 7.2 and RFC 9136 section 3.1 count them as attributes.
type Key struct {
	Kind Kind
	Bits uint8     // type 5: length of the prefix
	ESI  ESI       // types 1 and 4
	RD   RD        // all
	Tag  uint32    // Ethernet tag, types 1, 2, 3, 5; 0 for VLAN-based service
	MAC  table.MAC // type 2
	// IP is the host of type 2 (invalid: MAC alone), the originator of types 3
	// and 4, the address of the prefix of type 5. IPv4 is never mapped in IPv6.
	IP netip.Addr
}

// KeyOfAD returns the key of a type 1 route; tag is MaxTag for the one per
// segment.
func KeyOfAD(rd RD, esi ESI, tag uint32) Key {
	return Key{Kind: AutoDiscovery, RD: rd, ESI: esi, Tag: tag}
}

// KeyOfMAC returns the key of a type 2 route; ip may be invalid.
func KeyOfMAC(rd RD, tag uint32, mac table.MAC, ip netip.Addr) Key {
	return Key{Kind: MACIP, RD: rd, Tag: tag, MAC: mac, IP: ip.Unmap()}
}

// KeyOfMulticast returns the key of a type 3 route.
func KeyOfMulticast(rd RD, tag uint32, originator netip.Addr) Key {
	return Key{Kind: Multicast, RD: rd, Tag: tag, IP: originator.Unmap()}
}

// KeyOfSegment returns the key of a type 4 route.
func KeyOfSegment(rd RD, esi ESI, originator netip.Addr) Key {
	return Key{Kind: Segment, RD: rd, ESI: esi, IP: originator.Unmap()}
}

// KeyOfPrefix returns the key of a type 5 route; bits of p behind its length are
// cleared.
func KeyOfPrefix(rd RD, tag uint32, p netip.Prefix) Key {
	p = p.Masked()
	return Key{Kind: Prefix, RD: rd, Tag: tag, IP: p.Addr(), Bits: uint8(p.Bits())}
}

// Prefix returns the prefix of a type 5 key.
func (k Key) Prefix() netip.Prefix { return netip.PrefixFrom(k.IP, int(k.Bits)) }

// String returns the key in the form "[2]:[tag]:[mac]:[ip] rd".
func (k Key) String() string {
	switch k.Kind {
	case AutoDiscovery:
		return fmt.Sprintf("[1]:[%d]:[%s] %s", k.Tag, k.ESI, k.RD)
	case MACIP:
		if !k.IP.IsValid() {
			return fmt.Sprintf("[2]:[%d]:[%s] %s", k.Tag, k.MAC, k.RD)
		}
		return fmt.Sprintf("[2]:[%d]:[%s]:[%s] %s", k.Tag, k.MAC, k.IP, k.RD)
	case Multicast:
		return fmt.Sprintf("[3]:[%d]:[%s] %s", k.Tag, k.IP, k.RD)
	case Segment:
		return fmt.Sprintf("[4]:[%s]:[%s] %s", k.ESI, k.IP, k.RD)
	case Prefix:
		return fmt.Sprintf("[5]:[%d]:[%s] %s", k.Tag, k.Prefix(), k.RD)
	}
	return fmt.Sprintf("[%d] %s", k.Kind, k.RD)
}

// Route is what a node announces.
type Route struct {
	Key   Key
	Attrs Attrs
}

// Update is one route that a peer announced or withdrew. Attrs are of no meaning
// in a withdrawal. The speaker keeps Attrs.RTs: the caller does not change them
// afterwards.
type Update struct {
	Peer     PeerID
	Withdraw bool
	Route    Route
}
