//go:build interop

package interop_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/lab/netplumb"
)

// kernelVXLAN is the script that makes the vxlan device vx0 of a kernel; it is
// down.
func kernelVXLAN(local, remote, dev, flags string) string {
	return fmt.Sprintf("ip link add vx0 address %s type vxlan id %d dstport 4789 local %s remote %s dev %s %s\n", peerMAC, testVNI, local, remote, dev, flags)
}

// addresses is the script that gives the far host's addresses to a device.
func addresses(dev string) string {
	return fmt.Sprintf("ip addr add %s/24 dev %s\nip addr add %s/64 dev %s nodad\n", far4, dev, far6, dev)
}

// TestInteropKernelVXLAN: VXLAN straight on the underlay, with this machine's
// vxlan device at the other end.
func TestInteropKernelVXLAN(t *testing.T) {
	const underlayMTU = 1500
	for _, tt := range []struct {
		name     string
		v6       bool
		offloads bool // of the leaf's end; without, every checksum is real
		ours     config.UDPChecksum
		flags    string // of the kernel's device: what it sends, what it takes
		mtu      int    // of the tenant, by the arithmetic of the headers
		zero     string // UDP checksums of the engine and of the kernel: z is zero, f is full, ? is either
		silent   string // why nothing may pass; empty when all must
	}{
		{"IPv4, theirs is zero", false, true, config.ChecksumAuto, "noudpcsum", 1450, "?z", ""},
		{"IPv4, checksums", false, false, config.ChecksumFull, "udpcsum", 1450, "ff", ""},
		{"IPv4, ours is zero", false, false, config.ChecksumZero, "udpcsum", 1450, "zf", ""},
		{"IPv6, checksums", true, false, config.ChecksumAuto, "noudp6zerocsumtx noudp6zerocsumrx", 1430, "ff", ""},
		{"IPv6, super-frames", true, true, config.ChecksumAuto, "noudp6zerocsumtx noudp6zerocsumrx", 1430, "ff", ""},
		{"IPv6, no checksum to a strict kernel", true, false, config.ChecksumZero, "noudp6zerocsumtx noudp6zerocsumrx", 1430, "zf",
			"the kernel refuses a zero checksum over IPv6, so the rows above show that ours is right"},
		{"IPv6, no checksum to a lenient kernel", true, false, config.ChecksumZero, "noudp6zerocsumtx udp6zerocsumrx", 1430, "zf", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			peer := b.underlay(underlayMTU, tt.offloads)
			self, far := leafU4, peerU4
			if tt.v6 {
				self, far = leafU6, peerU6
			}
			cfg := plain(b.base(underlayMTU), self, far)
			cfg.Underlay.VXLANUDPChecksum = tt.ours
			e := b.start(t, b.leaf, cfg)
			h, p := in(b.host), in(peer)
			p.must(t, kernelVXLAN(far, self, "u0", tt.flags)+"ip link set vx0 up\n"+addresses("vx0"))

			if got := e.tenantMTU(); got != tt.mtu {
				t.Errorf("tenant MTU %d, want %d", got, tt.mtu)
			}
			if dev, err := peer.Device("vx0"); err != nil || dev.MTU != tt.mtu {
				t.Errorf("the kernel's device has MTU %d, want %d: %v", dev.MTU, tt.mtu, err)
			}
			b.must(b.host.SetMTU("eth0", tt.mtu))
			if tt.silent != "" {
				if err := h.silence(far4); err != nil {
					t.Errorf("%s: %v", tt.silent, err)
				}
				return
			}
			w := b.watch(peer, "u0", "udp port 4789")
			vxlanTraffic(t, b, h, p, tt.mtu)
			checkOuter(t, w.stop(), self, tt.zero)
			e.lossless()
			learned(t, e, far, p)
		})
	}
}

// vxlanTraffic runs everything that tenants do across the link: ARP and ND, BUM,
// small and full packets, and TCP both ways.
func vxlanTraffic(t *testing.T, b *bed, h, p shell, mtu int) {
	t.Helper()
	if err := errors.Join(h.reach(far4), h.reach(far6)); err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		what string
		err  error
	}{
		{"small IPv4 packets", h.ping(far4, "-s 0")},
		{"full IPv4 packets", h.ping(far4, fmt.Sprintf("-M do -s %d", mtu-28))},
		{"full IPv6 packets", h.ping(far6, fmt.Sprintf("-M do -s %d", mtu-48))},
		{"from the kernel", p.ping(host4, fmt.Sprintf("-M do -s %d", mtu-28))},
		{"IPv6 from the kernel", p.ping(host6, "")},
		{"multicast", h.ping("ff02::1%eth0", "-L")},
		{"multicast from the kernel", p.ping("ff02::1%vx0", "-L")},
	} {
		if run.err != nil {
			t.Errorf("%s: %v", run.what, run.err)
		}
	}
	// ARP from both sides, each time a broadcast.
	for _, s := range []struct {
		shell
		dev, to string
	}{{h, "eth0", far4}, {p, "vx0", host4}} {
		for range 3 {
			s.must(t, "ip neigh flush dev "+s.dev+"; ping -n -c 1 -W 2 "+s.to)
		}
	}
	p.serve(t, far4)
	for _, reverse := range []bool{false, true} {
		r, err := h.tcp(far4, reverse)
		if err != nil || r.Bytes < 1<<20 {
			t.Errorf("TCP, reverse %v: %+v, %v", reverse, r, err)
			continue
		}
		t.Logf("TCP, reverse %v: %.0f Mbit/s, %d retransmits", reverse, r.BitsPerSecond/1e6, r.Retransmits)
	}
}

// checkOuter looks at the outer headers of both ends' packets; zero says what
// their UDP checksums must be, the engine's first.
func checkOuter(t *testing.T, packets []gopacket.Packet, self, zero string) {
	t.Helper()
	var seen [2]int
	ports := [2]map[layers.UDPPort]bool{{}, {}}
	for _, p := range packets {
		udp, ok := p.TransportLayer().(*layers.UDP)
		if !ok {
			continue
		}
		end := 1
		if src := p.NetworkLayer().NetworkFlow().Src(); netip.MustParseAddr(src.String()) == netip.MustParseAddr(self) {
			end = 0
		}
		seen[end]++
		ports[end][udp.SrcPort] = true
		if zero[end] != '?' && (udp.Checksum == 0) != (zero[end] == 'z') {
			t.Errorf("end %d: UDP checksum %#04x, want %c", end, udp.Checksum, zero[end])
			return
		}
		vx, ok := p.Layer(layers.LayerTypeVXLAN).(*layers.VXLAN)
		if !ok || vx.VNI != testVNI || !vx.ValidIDFlag || udp.DstPort != 4789 {
			t.Errorf("end %d: not VXLAN of VNI %d: %v", end, testVNI, p)
			return
		}
		if ip, ok := p.NetworkLayer().(*layers.IPv4); ok && ip.Flags&layers.IPv4MoreFragments != 0 {
			t.Errorf("end %d: a fragment", end)
			return
		}
	}
	if seen[0] == 0 || seen[1] == 0 {
		t.Errorf("captured %v packets", seen)
	}
	if len(ports[0]) < 2 { // RFC 7348 section 5: the source port is a hash of the inner flow
		t.Errorf("the engine sent %d packets of many flows from ports %v", seen[0], ports[0])
	}
}

// learned checks that each end knows the MACs of the other.
func learned(t *testing.T, e *engine, vtep string, p shell) {
	t.Helper()
	found := false
	for m, err := range e.api.FDB(e.call(), status.MACFilter{VNI: testVNI}) {
		if err != nil {
			t.Fatal(err)
		}
		found = found || m.MAC.String() == peerMAC && m.VTEP == netip.MustParseAddr(vtep)
	}
	if !found {
		t.Errorf("the engine has not learned %s at %s", peerMAC, vtep)
	}
	if out := p.must(t, "bridge fdb show dev vx0"); !strings.Contains(out, hostMAC) {
		t.Errorf("the kernel has not learned %s:\n%s", hostMAC, out)
	}
}

// TestInteropKernelVXLANThree: two kernels and the engine in one VNI. A broadcast
// reaches both, by ingress replication, and never goes from VTEP to VTEP through
// the engine. A VNI or a VTEP that is not configured is refused.
func TestInteropKernelVXLANThree(t *testing.T) {
	b := newBed(t)
	hub := b.namespace("hub")
	kernels := []*netplumb.Namespace{b.namespace("k2"), b.namespace("k3"), b.namespace("k4"), b.namespace("k5")}
	ends := append([]*netplumb.Namespace{b.leaf}, kernels...)
	for i, ns := range ends {
		b.must(ns.AddVeth(netplumb.End{Dev: "u0"}, hub, netplumb.End{Dev: fmt.Sprint("p", i)}, 1500),
			ns.SetOffloads("u0", false), ns.SetUp("u0", true), hub.SetUp(fmt.Sprint("p", i), true),
			ns.AddAddr("u0", netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/24", i+1))))
	}
	b.must(hub.AddBridge("br", 1500, "p0", "p1", "p2", "p3", "p4"), hub.SetUp("br", true))
	cfg := plain(b.base(1500), leafU4, peerU4)
	for _, n := range []string{"3", "4"} {
		cfg.Peers = append(cfg.Peers, config.Peer{Name: "k" + n, Carrier: config.CarrierPlain, Endpoint: netip.MustParseAddrPort("192.0.2." + n + ":0")})
	}
	// The fourth is a peer, but not of this VNI; the fifth is nobody.
	cfg.BridgeDomains[0].VTEPs = append(cfg.BridgeDomains[0].VTEPs, netip.MustParseAddr("192.0.2.3"))
	e := b.start(t, b.leaf, cfg)
	b.must(b.host.SetMTU("eth0", e.tenantMTU()))
	// Each kernel sends BUM frames to the engine alone: what reaches another one
	// must have been forwarded by it.
	for i, k := range kernels {
		in(k).must(t, fmt.Sprintf("ip link add vx0 address 02:00:00:00:00:%02x type vxlan id %d dstport 4789 local 192.0.2.%d remote %s dev u0\n", i+2, testVNI, i+2, leafU4)+
			fmt.Sprintf("ip link set vx0 up\nip addr add 10.1.0.%d/24 dev vx0", i+2))
	}
	h := in(b.host)
	for _, a := range []string{"10.1.0.2", "10.1.0.3"} {
		if err := errors.Join(h.reach(a), h.ping(a, "")); err != nil {
			t.Error(err)
		}
	}
	if err := in(kernels[0]).silence("10.1.0.3"); err != nil {
		t.Errorf("split horizon: %v", err)
	}
	// Neither answers, nor is heard.
	for _, tt := range []struct {
		from   int
		vni    int
		reason string
	}{
		{4, testVNI, "vxlan-unknown-vtep"},
		{5, testVNI, "unprotected-refused"},
		{3, testVNI + 1, "vxlan-unknown-vni"},
	} {
		k := in(kernels[tt.from-2])
		k.must(t, fmt.Sprintf("ip link del vx0; ip link add vx0 type vxlan id %d dstport 4789 local 192.0.2.%d remote %s dev u0\n", tt.vni, tt.from, leafU4)+
			fmt.Sprintf("ip link set vx0 up; ip addr add 10.1.0.%d/24 dev vx0", tt.from))
		before := e.drops()[tt.reason]
		if err := k.silence(host4); err != nil {
			t.Errorf("kernel %d, VNI %d: %v", tt.from, tt.vni, err)
		}
		if e.drops()[tt.reason] == before {
			t.Errorf("kernel %d, VNI %d: no %s was counted: %v", tt.from, tt.vni, tt.reason, e.drops())
		}
	}
}
