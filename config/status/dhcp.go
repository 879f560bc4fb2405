package status

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

// DHCP is what the DHCP relays of a leaf did.
type DHCP struct {
	VRFs []DHCPVRF `json:"vrfs"` // that have a relay, by name
}

// DHCPVRF is the relays of a VRF.
type DHCPVRF struct {
	Name      string       `json:"name"`
	Loopbacks []netip.Addr `json:"loopbacks"` // to which servers reply
	Relays    []DHCPRelay  `json:"relays"`    // by VNI
	Faults    []NamedCount `json:"faults"`    // replies that name no bridge domain
}

// DHCPRelay is the relay of a bridge domain.
type DHCPRelay struct {
	VNI       table.VNI     `json:"vni"`
	Name      string        `json:"name"`
	Servers   []netip.Addr  `json:"servers"`
	Requests4 uint64        `json:"requests4"` // of clients, relayed
	Replies4  uint64        `json:"replies4"`  // of servers, relayed
	Requests6 uint64        `json:"requests6"`
	Replies6  uint64        `json:"replies6"`
	Faults    []NamedCount  `json:"faults"` // what was not relayed, by reason
	Recent    []DHCPRequest `json:"recent"` // of clients, the newest first
}

// DHCPRequest is a message of a client.
type DHCPRequest struct {
	Age     config.Duration `json:"age"`
	MAC     table.MAC       `json:"mac"`
	Type    string          `json:"type"` // DISCOVER, SOLICIT and such
	V6      bool            `json:"v6"`
	Circuit string          `json:"circuit"` // as servers are told
	Fault   string          `json:"fault"`   // empty: relayed
}
