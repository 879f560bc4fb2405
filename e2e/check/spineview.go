package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/lab"
)

// SpineView is what a spine can see between its WireGuard ends.
type SpineView struct {
	Node    string `json:"node"`
	Packets int    `json:"packets"`
	MACsec  int    `json:"vxlan_with_macsec"`
	// Packets of the fabric VRF itself, as ping between VTEPs.
	Fabric int `json:"fabric"`
	// Tenant MACs can be read in standard mode, not in hidden mode.
	TenantMACs bool `json:"tenant_macs_readable"`
}

// SpineView captures at all spines, where WireGuard is open, while all tenants
// talk. Every packet must be VXLAN of a configured VNI between VTEPs, whose inner
// frame is MACsec with the channel identifier of the sending leaf, and no tenant
// byte may be found.
func (b *Bench) SpineView(ctx context.Context) ([]SpineView, error) {
	spines := b.kind(lab.Spine)
	want, err := b.channels()
	if err != nil {
		return nil, err
	}
	// One capture inside the other: all see the same traffic.
	got := make([][]*ztosv1.CapturePacket, len(spines))
	watch := func() error { return b.talk(ctx) }
	for i, s := range spines {
		inner := watch
		watch = func() (err error) {
			req := &ztosv1.CaptureRequest{Stages: []string{trace.WireGuardOpen.String()}}
			got[i], err = b.capture(ctx, s, req, inner)
			return err
		}
	}
	errs := []error{watch()}
	var out []SpineView
	total := 0
	for i, s := range spines {
		r := SpineView{Node: s}
		for _, p := range got[i] {
			r.Packets++
			if err := b.viewed(&r, p.Data, want); err != nil {
				errs = append(errs, fmt.Errorf("%s sees: %w:\n%s", s, err, hex.Dump(p.Data[:min(len(p.Data), 160)])))
				if len(errs) > 4 {
					break
				}
			}
		}
		total += r.MACsec
		out = append(out, r)
	}
	if total == 0 {
		errs = append(errs, errors.New("spine view: no VXLAN packet captured: the view proves nothing"))
	}
	return out, errors.Join(errs...)
}

// channel is a sender in a VNI.
type channel struct {
	vni uint32
	src netip.Addr
}

// expect is what a sender's frames must look like.
type expect struct {
	sci    config.SCI
	plain  bool // the VNI has no MACsec
	hidden bool
	tci    byte // E and C bits
	offset int  // bytes of secure data that stay readable
}

// channels reads from the leaves' configurations what each sends.
func (b *Bench) channels() (map[channel]expect, error) {
	out := map[channel]expect{}
	for _, l := range b.kind(lab.Leaf) {
		cfg, err := config.Load(b.Lab.ConfigPath(l))
		if err != nil {
			return nil, err
		}
		for _, bd := range cfg.BridgeDomains {
			e := expect{plain: bd.MACsec == nil}
			if m := bd.MACsec; m != nil {
				e.sci, e.hidden, e.offset = m.Tx.SCI, m.Mode == config.ModeHidden, m.Offset
				if m.Encrypt.On() {
					e.tci = 0x0c
				}
			}
			for _, a := range []netip.Addr{cfg.Self.Address, cfg.Self.Address6} {
				if a.IsValid() {
					out[channel{uint32(bd.VNI), a}] = e
				}
			}
		}
	}
	return out, nil
}

// viewed judges one outer packet with gopacket.
func (b *Bench) viewed(r *SpineView, data []byte, want map[channel]expect) error {
	first := layers.LayerTypeIPv4
	if len(data) > 0 && data[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(data, first, gopacket.NoCopy)
	udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if udp == nil || udp.DstPort != 4789 {
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		bgp := tcp != nil && (tcp.SrcPort == 179 || tcp.DstPort == 179)
		bfd := udp != nil && udp.DstPort == 3784 && len(udp.Payload) == 24 // without authentication (RFC 5880 section 4.1)
		if !bgp && !bfd && p.Layer(layers.LayerTypeICMPv4) == nil && p.Layer(layers.LayerTypeICMPv6) == nil {
			return errors.New("neither VXLAN, nor BGP, BFD or ICMP of the fabric")
		}
		r.Fabric++
		return nil
	}
	vx, _ := p.Layer(layers.LayerTypeVXLAN).(*layers.VXLAN)
	eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if vx == nil || eth == nil || !vx.ValidIDFlag {
		return errors.New("a VXLAN packet that gopacket cannot decode")
	}
	src, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Src().Raw())
	e, ok := want[channel{vx.VNI, src}]
	if !ok {
		return fmt.Errorf("VNI %d from %v, which is not configured", vx.VNI, src)
	}
	if e.plain {
		return nil
	}
	if eth.EthernetType != etherMACsec {
		return fmt.Errorf("an inner frame of type %v, not MACsec", eth.EthernetType)
	}
	tag := eth.Payload
	if len(tag) < 14+16 { // SecTAG, ICV
		return errors.New("a MACsec frame shorter than SecTAG and ICV")
	}
	// V 0, ES 0, SC 1, SCB 0, E and C as configured (IEEE 802.1AE-2018 9.5).
	if tag[0]&^3 != 0x20|e.tci {
		return fmt.Errorf("a SecTAG with TCI %#02x, want %#02x", tag[0]&^3, 0x20|e.tci)
	}
	if binary.BigEndian.Uint32(tag[2:]) == 0 || !bytes.Equal(tag[6:14], e.sci[:]) {
		return fmt.Errorf("a SecTAG with packet number %d and SCI %x, want SCI %x", binary.BigEndian.Uint32(tag[2:]), tag[6:14], e.sci)
	}
	const secTAG = 14 // behind the ethertype
	for _, t := range b.Topo.Tenants {
		// The confidentiality offset leaves what is in front readable.
		if e.tci != 0 && MarkerOf(t.Name).in(tag[min(len(tag), secTAG+e.offset):]) {
			return fmt.Errorf("bytes of tenant %s", t.Name)
		}
	}
	r.MACsec++
	if b.isTenantMAC(eth.SrcMAC) {
		r.TenantMACs = true
		if e.hidden {
			return errors.New("a tenant's MAC in hidden mode")
		}
	}
	return nil
}

// isTenantMAC reports whether the topology gives a host this MAC.
func (b *Bench) isTenantMAC(mac []byte) bool {
	return slices.ContainsFunc(b.Topo.Nodes, func(n lab.Node) bool {
		if n.Host == nil || n.Host.MAC == 0 {
			return false
		}
		var m [6]byte
		n.Host.MAC.Put(m[:])
		return bytes.Equal(m[:], mac)
	})
}
