package evpn

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// Attrs are the path attributes and extended communities of a route, decoded.
// The zero value of a field means that the attribute was absent, but where it
// says otherwise.
type Attrs struct {
	NextHop netip.Addr // the VTEP, types 1 to 5; IPv4 is never mapped in IPv6
	RTs     []RT       // in the order received

	ESI        ESI        // types 2 and 5: the segment behind which it is
	Label1     table.VNI  // types 1 per EVI, 2, 5: the VNI to send with
	Label2     table.VNI  // type 2 with IP: the L3VNI, 0 if absent
	Encaps     Encaps     // tunnel types that the announcer takes
	Mobility   Mobility   // type 2
	RouterMAC  table.MAC  // types 2 and 5: RFC 9135 section 8.1, 0 if absent
	Gateway    netip.Addr // type 5: overlay index, invalid if zero on the wire
	ESImport   table.MAC  // type 4
	ESILabel   ESILabel   // type 1 per segment
	DF         DFElection // type 4
	PMSI       PMSI       // type 3
	Neighbour  Neighbour  // type 2 with IP: RFC 9047
	IsGateway  bool       // type 2: the default gateway community
	Stale      bool       // the community LLGR_STALE (RFC 9494)
	NoStale    bool       // the community NO_LLGR: it is not to become Stale
	Preference Preference
}

// Preference is what BGP chooses a path by, in the order of RFC 4271 section
// 9.1.2, the peer's own properties aside (Peer has them).
type Preference struct {
	LocalPref   uint32 // greater wins; the adapter puts 100 where there is none
	ASPathLen   uint16 // as RFC 4271 section 9.1.2.2 (a) counts
	Origin      uint8  // 0 IGP, 1 EGP, 2 incomplete
	MED         uint32
	NeighbourAS uint32     // MED is compared between paths of one
	Originator  netip.Addr // ORIGINATOR_ID, invalid if absent
	ClusterLen  uint8      // length of CLUSTER_LIST
}

// Encaps is a set of tunnel types of the encapsulation extended community; the
// bit is 1 << type.
type Encaps uint32

// EncapVXLAN is tunnel type 8 (RFC 8365 section 11).
const EncapVXLAN Encaps = 1 << 8

// Mobility is the MAC mobility extended community (RFC 7432 section 7.7). A
// route without it has sequence number 0.
type Mobility struct {
	Present bool
	Sticky  bool // the MAC may not move
	Seq     uint32
}

// ESILabel is the ESI label extended community (RFC 7432 section 7.5).
type ESILabel struct {
	Present      bool
	SingleActive bool
	Label        uint32 // 0 with local bias (RFC 8365 section 8.3.1)
}

// DFElection is the DF election extended community (RFC 8584 section 2.2). A
// segment route without it stands for algorithm 0 and no capability.
type DFElection struct {
	Present    bool
	Alg        DFAlg
	Caps       DFCaps
	Preference uint16 // RFC 9785 section 3
}

// DFAlg is an algorithm of electing the DF.
type DFAlg uint8

const (
	DFModulo  DFAlg = 0 // RFC 7432 section 8.5
	DFHRW     DFAlg = 1 // highest random weight, RFC 8584 section 3
	DFHighest DFAlg = 2 // highest preference, RFC 9785
	DFLowest  DFAlg = 3 // lowest preference, RFC 9785
)

// DFCaps are the capabilities of the DF election community: its 16 bits as a
// number, bit 0 of the drawing the highest.
type DFCaps uint16

const (
	CapDontPreempt DFCaps = 1 << 15 // bit 0, RFC 9785
	CapACDF        DFCaps = 1 << 14 // bit 1, AC-influenced election, RFC 8584 section 4
)

// PMSI is the PMSI tunnel attribute of a type 3 route (RFC 6514 section 5).
type PMSI struct {
	Present  bool
	Flags    uint8
	Type     uint8      // PMSIIngressReplication is the only one used
	VNI      table.VNI  // to send BUM frames with
	Endpoint netip.Addr // of ingress replication
}

// PMSIIngressReplication is the tunnel type of ingress replication (RFC 6514
// section 5).
const PMSIIngressReplication = 6

// Neighbour is the ARP/ND extended community (RFC 9047 section 2).
type Neighbour struct {
	Present bool
	Bits    NeighbourBits
}

// NeighbourBits are the flags of the ARP/ND extended community (RFC 9047 section
// 2), as the octet on the wire.
type NeighbourBits uint8

const (
	NeighbourRouter    NeighbourBits = 0x01 // R: an IPv6 router
	NeighbourOverride  NeighbourBits = 0x02 // O: the override flag of the advertisement
	NeighbourImmutable NeighbourBits = 0x08 // I: the pair of IP and MAC does not change
)
