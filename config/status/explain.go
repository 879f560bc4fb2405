package status

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

// ExplainQuery asks where a MAC or an IP address is; one of them is set.
type ExplainQuery struct {
	MAC     table.MAC
	Address netip.Addr
	VNI     table.VNI // 0: in any bridge domain
}

// Explanation says where it is, and why it is nowhere.
type Explanation struct {
	Places []Place  `json:"places"` // by VNI
	Routed []Routed `json:"routed"` // of an address, by VRF
	Why    string   `json:"why"`    // why it is nowhere: no place, and no route that leads to a host or a leaf; or empty
}

// Routed is how a VRF of this leaf sends packets to an address: by the route with the
// longest prefix that holds it.
type Routed struct {
	Route Route  `json:"route"` // without its paths
	Why   string `json:"why"`   // why packets do not arrive; empty as far as is known
	Ways  []Way  `json:"ways"`  // one is taken for each flow
}

// Way is a path of a route, and through which keys it leads.
type Way struct {
	Path Path           `json:"path"`
	Keys *ExplainedKeys `json:"keys"` // of the way to another leaf; nil for a host
	Why  string         `json:"why"`  // why packets do not arrive this way
}

// Place is where a MAC is in a bridge domain.
type Place struct {
	VNI     table.VNI  `json:"vni"`
	Name    string     `json:"name"` // of the bridge domain
	MAC     table.MAC  `json:"mac"`
	Address netip.Addr `json:"address"` // valid iff asked for
	Kind    string     `json:"kind"`    // port, vtep, segment, gateway, blackhole or unknown
	Port    string     `json:"port"`    // iff Kind is port
	VLAN    uint16     `json:"vlan"`    // of the port's circuit
	VTEP    netip.Addr `json:"vtep"`    // iff Kind is vtep; of a segment one of those that share its flows, zero: it is here too
	Segment string     `json:"segment"` // iff Kind is segment and a leaf has a link to it: the identifier
	Source  string     `json:"source"`  // learned, static, evpn, or empty
	Why     string     `json:"why"`     // why frames to it do not arrive; empty as far as is known
	// Routes are what this node and others announce, the best first.
	Routes []ExplainedRoute `json:"routes"`
	Keys   *ExplainedKeys   `json:"keys"` // of the way to VTEP; nil without
}

// ExplainedRoute is a route of type 2.
type ExplainedRoute struct {
	RD      string     `json:"rd"`
	MAC     table.MAC  `json:"mac"`
	Address netip.Addr `json:"address"` // zero: of the MAC alone
	NextHop netip.Addr `json:"nextHop"`
	Label   table.VNI  `json:"label"` // VNI that it asks for
	Seq     uint32     `json:"seq"`
	Sticky  bool       `json:"sticky"`
	RTs     []string   `json:"rts"`
	Own     bool       `json:"own"`  // of this node
	From    netip.Addr `json:"from"` // BGP peer; zero iff Own
	Best    bool       `json:"best"` // of the same key
	Used    bool       `json:"used"` // the FDB follows it
}

// ExplainedKeys are the keys that frames to a VTEP are protected with; never a key
// itself.
type ExplainedKeys struct {
	Cipher config.Cipher `json:"cipher"` // zero: no MACsec
	TxSCI  config.SCI    `json:"txSci"`  // iff Cipher
	TxSA   string        `json:"txAn"`   // AN in use; empty: none is
	RxSCs  []string      `json:"rxScs"`  // what is taken from the VTEP: SCI and its ANs
	Peers  []KeyPeer     `json:"peers"`  // one is taken for each flow
}

// KeyPeer is a peer by which a VTEP is reached.
type KeyPeer struct {
	Name      string           `json:"name"`
	Carrier   config.Carrier   `json:"carrier"`
	PublicKey config.PublicKey `json:"publicKey"` // zero for a plain carrier
	Endpoint  netip.AddrPort   `json:"endpoint"`
	Usable    bool             `json:"usable"` // it has a session and is alive
}
