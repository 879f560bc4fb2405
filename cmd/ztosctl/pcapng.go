package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/trace"
)

// Link types of the pcap registry.
const (
	linkEthernet = layers.LinkType(1)
	linkRaw      = layers.LinkType(101) // IPv4 or IPv6 by its version
	linkUpperPDU = layers.LinkType(252) // Wireshark's "exported PDU": tags that say how to read the rest
)

// pcapng writes packets of several stages, each an interface.
type pcapng struct {
	w      *pcapgo.NgWriter
	stages []trace.Stage // index is the interface's number
	missed uint64
}

// newPcapng writes the file's head with an interface for each stage.
func newPcapng(w io.Writer, stages []trace.Stage, snap int) (*pcapng, error) {
	p := &pcapng{}
	for _, s := range stages {
		if slices.Contains(p.stages, s) {
			continue
		}
		i := pcapgo.NgInterface{
			Name: s.String(), Description: "ztos stage " + s.String(),
			LinkType: linkType(s), SnapLength: uint32(max(snap, 0)), TimestampResolution: 9,
		}
		var err error
		if p.w == nil {
			o := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "ztosctl " + version}}
			p.w, err = pcapgo.NewNgWriterInterface(w, i, o)
		} else {
			_, err = p.w.AddInterface(i)
		}
		if err != nil {
			return nil, fmt.Errorf("pcapng: %w", err)
		}
		p.stages = append(p.stages, s)
	}
	return p, p.w.Flush()
}

func linkType(s trace.Stage) layers.LinkType {
	switch s.Kind() {
	case trace.Ethernet:
		return linkEthernet
	case trace.IP:
		return linkRaw
	}
	return linkUpperPDU
}

// put writes one packet, at once: who reads a pipe wants to see it now.
func (n *pcapng) put(p status.CapturePacket) error {
	i := slices.Index(n.stages, p.Stage)
	if i < 0 {
		return fmt.Errorf("pcapng: a packet of %s was not asked for", p.Stage)
	}
	data, length := p.Data, p.Len
	if linkType(p.Stage) == linkUpperPDU {
		data = append(upperPDU(&p), data...)
		length += len(data) - len(p.Data)
	}
	lost := p.Missed - n.missed
	n.missed = p.Missed
	o := pcapgo.NgPacketOptions{DropCount: &lost}
	if c := comment(&p); c != "" {
		o.Comments = []string{c}
	}
	ci := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(data), Length: max(length, len(data)), InterfaceIndex: i}
	if err := n.w.WritePacketWithOptions(ci, data, o); err != nil {
		return err
	}
	return n.w.Flush()
}

// comment says what is known of p besides its bytes.
func comment(p *status.CapturePacket) string {
	s := ""
	if p.VNI != 0 {
		s += fmt.Sprintf("VNI %d ", p.VNI)
	}
	if at := place(p.Port, p.Peer, p.Out); at != "" {
		s += at + " "
	}
	if p.Segs > 1 {
		s += fmt.Sprintf("%d segments ", p.Segs)
	}
	if s == "" {
		return ""
	}
	return s[:len(s)-1]
}

// Tags of the exported PDU format, from Wireshark's epan/exported_pdu.h; each is
// type 2, length 2, value padded to 4, in network order.
const (
	pduEnd      = 0
	pduProtocol = 12
	pduSrc4     = 20
	pduDst4     = 21
	pduSrc6     = 22
	pduDst6     = 23
	pduPortType = 24
	pduSrcPort  = 25
	pduDstPort  = 26

	pduUDP = 3 // value of pduPortType
)

// upperPDU returns the tags that stand in front of a UDP payload. Of the two ends
// only the other one's address is known.
func upperPDU(p *status.CapturePacket) []byte {
	proto := "wg"
	if len(p.Data) > 0 && p.Data[0] == 0x08 { // VXLAN's flags; WireGuard's types are 1 to 4
		proto = "vxlan"
	}
	b := pduTag(nil, pduProtocol, []byte(proto))
	if p.Peer.IsValid() {
		v4, v6, port := uint16(pduSrc4), uint16(pduSrc6), uint16(pduSrcPort)
		if p.Out {
			v4, v6, port = pduDst4, pduDst6, pduDstPort
		}
		b = pduAddr(b, v4, v6, p.Peer.Addr())
		b = pduTag(b, pduPortType, binary.BigEndian.AppendUint32(nil, pduUDP))
		b = pduTag(b, port, binary.BigEndian.AppendUint32(nil, uint32(p.Peer.Port())))
	}
	return pduTag(b, pduEnd, nil)
}

func pduAddr(b []byte, v4, v6 uint16, a netip.Addr) []byte {
	if a.Is4() {
		return pduTag(b, v4, a.AsSlice())
	}
	return pduTag(b, v6, a.AsSlice())
}

func pduTag(b []byte, tag uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, tag)
	padded := (len(value) + 3) &^ 3
	b = binary.BigEndian.AppendUint16(b, uint16(padded))
	return append(append(b, value...), make([]byte, padded-len(value))...)
}
