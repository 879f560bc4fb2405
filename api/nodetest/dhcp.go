package nodetest

import (
	"net/netip"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// DHCP implements server.Backend.
func (n *Node) DHCP() status.DHCP {
	return status.DHCP{VRFs: []status.DHCPVRF{{
		Name: "red", Loopbacks: []netip.Addr{netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("fd00:99::1")},
		Relays: []status.DHCPRelay{
			{VNI: 10101, Name: "red-a", Servers: []netip.Addr{netip.MustParseAddr("10.9.0.53"), netip.MustParseAddr("fd00:9::53")},
				Requests4: 14, Replies4: 12, Requests6: 3, Replies6: 2,
				Faults: []status.NamedCount{{Name: "malformed", Count: 1}, {Name: "forged-relay", Count: 2}, {Name: "limited"}},
				Recent: []status.DHCPRequest{
					{Age: config.Duration(2 * time.Second), MAC: 0x020000000101, Type: "REQUEST", Circuit: "10101/ra1"},
					{Age: config.Duration(time.Minute), MAC: 0x020000000103, Type: "SOLICIT", V6: true, Circuit: "10101/ra2.7", Fault: "unsent"},
				}},
			{VNI: 10102, Name: "red-b", Servers: []netip.Addr{netip.MustParseAddr("10.9.0.53")}},
		},
		Faults: []status.NamedCount{{Name: "malformed"}, {Name: "no-link", Count: 4}},
	}}}
}
