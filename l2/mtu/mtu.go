package mtu

// Bytes that each layer puts around what it carries.
const (
	IPv4     = 20 // header without options
	IPv6     = 40 // fixed header
	UDP      = 8
	VXLAN    = 8  // RFC 7348 section 5
	Ethernet = 14 // DA 6 + SA 6 + EtherType 2 of the frame inside VXLAN
	Tag      = 4  // one 802.1Q or 802.1ad tag: TPID 2 + TCI 2

	// MACsec is SecTAG 16 (EtherType 2, TCI and AN 1, SL 1, PN 4, explicit
	// SCI 8) and ICV 16.
	MACsec = 16 + 16

	// Hidden is the second Ethernet header of hidden mode: the tenant's whole
	// frame is secure data and another DA 6, SA 6 and EtherType 2 go in front.
	Hidden = 14

	// WireGuard is the data message's header 16 (type 1, reserved 3, receiver
	// 4, counter 8) and the Poly1305 tag 16; IP and UDP come on top.
	WireGuard = 16 + 16
)

// MinIPv6 is the least MTU of a link that carries IPv6 (RFC 8200 section 5).
const MinIPv6 = 1280

// Stack says what is configured between a tenant's frame and the underlay. The
// zero value is plain VXLAN over IPv4 with nothing around it.
type Stack struct {
	UnderlayMTU  int  // bytes of IP packet that the underlay's path carries
	WireGuard    bool // VXLAN packets travel inside WireGuard
	UnderlayIPv6 bool // WireGuard's endpoints are IPv6; no meaning without WireGuard
	VTEPIPv6     bool // VTEP addresses are IPv6
	MACsec       bool // frames are protected, explicit SCI
	Hidden       bool // hidden mode; no meaning without MACsec
	Tags         int  // tenant's own VLAN tags carried inside the frame, 0 to 2
}

// Overhead returns how many bytes of the underlay's MTU are not the tenant's:
// everything in front of and behind the payload of the tenant's Ethernet frame.
func Overhead(s Stack) int {
	n := Ethernet + s.Tags*Tag + VXLAN + UDP + ip(s.VTEPIPv6)
	if s.MACsec {
		n += MACsec
		if s.Hidden {
			n += Hidden
		}
	}
	if s.WireGuard {
		n += WireGuard + UDP + ip(s.UnderlayIPv6)
	}
	return n
}

// Tenant returns the largest IP packet, bytes, that a tenant's frame may carry
// without the underlay packet growing beyond s.UnderlayMTU. It is 0 when the
// underlay's MTU does not even hold the overhead.
func Tenant(s Stack) int { return max(s.UnderlayMTU-Overhead(s), 0) }

// Underlay returns the underlay MTU, bytes, that a tenant MTU needs: the
// inverse of Tenant. It ignores s.UnderlayMTU.
func Underlay(tenantMTU int, s Stack) int { return tenantMTU + Overhead(s) }

// UnderlayPadded is Underlay for a WireGuard sender that pads every packet to a
// multiple of 16 bytes without looking at the path's MTU: what to ask of an
// underlay that other implementations share. Tenant 1500 over IPv4 and IPv4:
// 1500 + 82 = 1582, padded 1584, + 60 = 1644.
func UnderlayPadded(tenantMTU int, s Stack) int {
	n := Underlay(tenantMTU, s)
	if !s.WireGuard {
		return n
	}
	outer := WireGuard + UDP + ip(s.UnderlayIPv6)
	return (n-outer+15)&^15 + outer
}

func ip(v6 bool) int {
	if v6 {
		return IPv6
	}
	return IPv4
}
