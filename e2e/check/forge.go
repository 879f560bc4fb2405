package check

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Offsets in an outer packet over IPv4, bytes: IPv4 20, UDP 8, VXLAN 8, then the
// Ethernet frame with the SecTAG behind its addresses.
const (
	offUDP    = 20
	offVXLAN  = offUDP + 8
	offInner  = offVXLAN + 8
	offSecTAG = offInner + 12 // ethertype 2, TCI 1, SL 1, PN 4, SCI 8
	offTCI    = offSecTAG + 2
	offPN     = offSecTAG + 4
	offSCI    = offSecTAG + 8
	offSecure = offSecTAG + 16

	etherMACsec = 0x88e5
)

// outer is a VXLAN packet over IPv4, whole, from the IP header, to read and to
// lie with. Its UDP checksum is always 0, none. Methods that change it return a
// changed copy.
type outer []byte

// protected reports whether o is VXLAN over IPv4 with a MACsec frame inside.
func (o outer) protected() bool {
	return len(o) > offSecure && o[0] == 0x45 && o[9] == 17 &&
		binary.BigEndian.Uint16(o[offUDP+2:]) == 4789 &&
		binary.BigEndian.Uint16(o[offSecTAG:]) == etherMACsec
}

func (o outer) src() netip.Addr { return netip.AddrFrom4([4]byte(o[12:16])) }
func (o outer) dst() netip.Addr { return netip.AddrFrom4([4]byte(o[16:20])) }
func (o outer) vni() uint32     { return binary.BigEndian.Uint32(o[offVXLAN+4:]) >> 8 }
func (o outer) pn() uint32      { return binary.BigEndian.Uint32(o[offPN:]) }

// with returns a copy of o that change was applied to, lengths and the checksum
// of the IP header made right.
func (o outer) with(change func(outer)) outer {
	c := slices.Clone(o)
	change(c)
	c.finish()
	return c
}

func (o outer) finish() {
	binary.BigEndian.PutUint16(o[2:], uint16(len(o)))
	binary.BigEndian.PutUint16(o[offUDP+4:], uint16(len(o)-offUDP))
	binary.BigEndian.PutUint16(o[offUDP+6:], 0)
	binary.BigEndian.PutUint16(o[10:], 0)
	binary.BigEndian.PutUint16(o[10:], checksum(o[:20]))
}

func (o outer) setSrc(a netip.Addr) { copy(o[12:16], a.AsSlice()) }
func (o outer) setDst(a netip.Addr) { copy(o[16:20], a.AsSlice()) }
func (o outer) setTTL(ttl byte)     { o[8] = ttl }
func (o outer) setVNI(vni uint32)   { binary.BigEndian.PutUint32(o[offVXLAN+4:], vni<<8) }
func (o outer) setPN(pn uint32)     { binary.BigEndian.PutUint32(o[offPN:], pn) }

// newOuter returns a VXLAN packet with the frame inside.
func newOuter(src, dst netip.Addr, vni uint32, frame []byte) outer {
	o := make(outer, offInner, offInner+len(frame))
	o[0], o[8], o[9] = 0x45, 64, 17
	o.setSrc(src)
	o.setDst(dst)
	binary.BigEndian.PutUint16(o[offUDP:], 50000)
	binary.BigEndian.PutUint16(o[offUDP+2:], 4789)
	o[offVXLAN] = 0x08 // I: the VNI is valid
	o.setVNI(vni)
	o = append(o, frame...)
	o.finish()
	return o
}

// tenantFrame returns a whole UDP broadcast-free frame of a tenant with its mark
// as payload, in the clear.
func tenantFrame(src, dst endpoint, m Marker) ([]byte, error) {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.ip.AsSlice(), DstIP: dst.ip.AsSlice()}
	udp := &layers.UDP{SrcPort: 7, DstPort: identityPort}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, fmt.Errorf("check: forge: %w", err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: src.mac[:], DstMAC: dst.mac[:], EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(append(m[:], m[:]...)))
	if err != nil {
		return nil, fmt.Errorf("check: forge: %w", err)
	}
	return buf.Bytes(), nil
}

// endpoint is where a tenant's frame comes from or goes to.
type endpoint struct {
	mac [6]byte
	ip  netip.Addr
}
