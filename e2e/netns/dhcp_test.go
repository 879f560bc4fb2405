//go:build netns

package netns_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/e2e/check"
)

// TestDHCP: clients of two leaves with one anycast gateway get IPv4 and IPv6
// addresses from a server behind one of them, by the relay of their own leaf; the
// same with the same addresses in another tenant, from its own server. What a relay
// must not pass on is counted by reason and reaches nobody.
func TestDHCP(t *testing.T) {
	b := up(t, "testdata/dhcp.yaml", "e2e-dhcp")
	ip := netip.MustParseAddr
	red4, red6 := netip.MustParsePrefix("10.1.1.64/26"), netip.MustParsePrefix("fd00:1::100/120")
	blue4, blue6 := netip.MustParsePrefix("10.1.1.192/26"), netip.MustParsePrefix("fd00:1::200/120")
	server, gateway := ip("10.1.9.53"), ip("10.1.1.1")

	step(t, "Loopbacks", func(ctx context.Context) (check.Ping, error) {
		if _, err := b.Reached(ctx, "rs2", ip("fd00:99::1")); err != nil {
			return check.Ping{}, err
		}
		return b.Reached(ctx, "rs2", ip("10.99.0.1"))
	})
	step(t, "IPv4/leaf1", func(ctx context.Context) (check.DHCPLease, error) {
		return b.DHCP4(ctx, "ra1", red4, server, server, false)
	})
	step(t, "IPv4/leaf2/broadcast", func(ctx context.Context) (check.DHCPLease, error) {
		return b.DHCP4(ctx, "ra2", red4, server, server, false, "-B")
	})
	step(t, "IPv4/blue", func(ctx context.Context) (check.DHCPLease, error) {
		return b.DHCP4(ctx, "ba1", blue4, gateway, server, true)
	})
	for host, pool := range map[string]netip.Prefix{"ra1": red6, "ra2": red6, "ba1": blue6} {
		step(t, "IPv6/"+host, func(ctx context.Context) (check.Lease, error) { return b.DHCP6(ctx, host, pool) })
	}
	blues := regexp.MustCompile(`10\.1\.1\.2[012]\d`)
	// The servers tell by option 82 where clients are, and have seen no other tenant's.
	step(t, "Option82", func(context.Context) (string, error) {
		log, err := b.DHCPLog("rs2")
		for _, want := range []string{"at-ra1", "at-ra2", "by-leaf1", "by-leaf2"} {
			if err == nil && !strings.Contains(log, want) {
				err = fmt.Errorf("the server did not learn %s: %s", want, log)
			}
		}
		if err == nil && blues.MatchString(log) {
			err = fmt.Errorf("red's server knows addresses of blue's: %s", log)
		}
		return "", err
	})

	var fs []check.DHCPForgery
	forge := func(name, fault string, change func(*layers.DHCPv4)) {
		fs = append(fs, check.DHCPForgery{
			Name: name, From: "ra1", Frame: dhcpFrame(t, change), Fault: fault, Leaf: "leaf1", VNI: 10101,
		})
	}
	forge("giaddr", "forged-relay", func(d *layers.DHCPv4) { d.RelayAgentIP = net.IPv4(10, 1, 1, 77) })
	forge("giaddr of the relay", "forged-relay", func(d *layers.DHCPv4) { d.RelayAgentIP = net.IPv4(10, 99, 0, 1) })
	forge("option 82", "forged-agent", func(d *layers.DHCPv4) {
		d.Options = append(d.Options, layers.NewDHCPOption(82, []byte{1, 1, 'x'}))
	})
	forge("hops", "too-many-hops", func(d *layers.DHCPv4) { d.RelayHops = 17 })
	forge("reply", "wrong-type", func(d *layers.DHCPv4) { d.Operation = layers.DHCPOpReply })
	forge("client id cut off", "malformed", nil)
	fs[len(fs)-1].Frame = cutOff(fs[len(fs)-1].Frame)
	// A host of the VRF that is no server answers for it, and one names no link.
	fs = append(fs,
		check.DHCPForgery{Name: "no server", From: "ra2", Frame: replyFrame(t, []byte{5, 4, 10, 1, 1, 1}), Fault: "not-server", Leaf: "leaf1", VNI: 10101},
		check.DHCPForgery{Name: "no link", From: "ra2", Frame: replyFrame(t, []byte{1, 1, 'x'}), Fault: "stray-no-link", Leaf: "leaf1", VNI: 10101},
	)
	step(t, "Refused", func(ctx context.Context) (map[string]uint64, error) { return b.DHCPRefused(ctx, "rs2", "ra1", fs) })
	step(t, "Flood", func(ctx context.Context) (uint64, error) {
		return b.DHCPFlood(ctx, check.DHCPForgery{From: "ra1", Frame: dhcpFrame(t, nil), Leaf: "leaf1", VNI: 10101}, 1000)
	})
	step(t, "Proven", b.Proven)
}

// dhcpFrame returns a DISCOVER of ra1 after change, broadcast.
func dhcpFrame(t *testing.T, change func(*layers.DHCPv4)) []byte {
	t.Helper()
	mac := net.HardwareAddr{2, 0, 0, 0, 1, 1}
	d := &layers.DHCPv4{
		Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: 7, ClientHWAddr: mac,
		Options: layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeDiscover)})},
	}
	if change != nil {
		change(d)
	}
	d.Options = append(d.Options, layers.NewDHCPOption(layers.DHCPOptEnd, nil))
	return udpFrame(t, mac, net.HardwareAddr{255, 255, 255, 255, 255, 255}, net.IPv4zero, net.IPv4bcast, 68, d)
}

// replyFrame returns an OFFER of ra2 to leaf1's relay, with an option 82.
func replyFrame(t *testing.T, agent []byte) []byte {
	t.Helper()
	d := &layers.DHCPv4{
		Operation: layers.DHCPOpReply, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: 7,
		ClientHWAddr: net.HardwareAddr{2, 0, 0, 0, 1, 1}, YourClientIP: net.IPv4(10, 1, 1, 66), RelayAgentIP: net.IPv4(10, 99, 0, 1),
		Options: layers.DHCPOptions{
			layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeOffer)}),
			layers.NewDHCPOption(82, agent), layers.NewDHCPOption(layers.DHCPOptEnd, nil),
		},
	}
	// 02:5a:54 and the VNI: the gateway's MAC.
	return udpFrame(t, net.HardwareAddr{2, 0, 0, 0, 1, 2}, net.HardwareAddr{2, 0x5a, 0x54, 0, 0x27, 0x75}, net.IPv4(10, 1, 1, 101), net.IPv4(10, 99, 0, 1), 67, d)
}

// udpFrame returns a frame with d for UDP port 67.
func udpFrame(t *testing.T, src, dst net.HardwareAddr, from, to net.IP, port layers.UDPPort, d *layers.DHCPv4) []byte {
	t.Helper()
	i := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from, DstIP: to}
	u := &layers.UDP{SrcPort: port, DstPort: 67}
	if err := u.SetNetworkLayerForChecksum(i); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: src, DstMAC: dst, EthernetType: layers.EthernetTypeIPv4}, i, u, d)
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// cutOff makes the last option of a frame of dhcpFrame longer than the message,
// without a UDP checksum.
func cutOff(f []byte) []byte {
	f = append([]byte(nil), f...)
	const message = 14 + 20 + 8
	f[message+240+1] = 200 // length of the message type
	f[40], f[41] = 0, 0
	return f
}
