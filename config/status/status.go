package status

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
)

// Node is what a node says of itself.
type Node struct {
	Name       string          `json:"name"`
	Roles      []config.Role   `json:"roles"`
	Address    netip.Addr      `json:"address"`
	Address6   netip.Addr      `json:"address6"` // zero when none
	Version    string          `json:"version"`
	Uptime     config.Duration `json:"uptime"`
	Generation uint64          `json:"generation"` // of the configuration in force, from 1; 0 before the first
	ConfigAge  config.Duration `json:"configAge"`  // since that generation came into force
	ConfigFile string          `json:"configFile"` // what Reload reads
	GSO        bool            `json:"gso"`        // UDP_SEGMENT is in use
	GRO        bool            `json:"gro"`        // UDP_GRO is in use
	Devices    []Device        `json:"devices"`    // of the underlay, that are to go by AF_XDP
	Workers    []Worker        `json:"workers"`    // by name
}

// DriverUDP is the driver of an underlay device that goes by UDP sockets.
const DriverUDP = "udp"

// Device is a network device of the underlay. Devices come in the configuration's
// order.
type Device struct {
	Name   string `json:"name"`
	Driver string `json:"driver"` // in use: afxdp or udp
	Note   string `json:"note"`   // one sentence when that is udp, and why; else empty
	Detail string `json:"detail"` // one line for people: driver, how the program runs
	Hops   int    `json:"hops"`   // destinations that frames are sent to
}

// Worker is one forwarding thread.
type Worker struct {
	Name   string `json:"name"`
	Faults uint64 `json:"faults"` // bugs contained: bursts that were given up
}

// Port is a tenant port. Ports come in the configuration's order.
type Port struct {
	Name      string          `json:"name"`
	Kind      config.PortKind `json:"kind"`   // as configured
	Driver    string          `json:"driver"` // in use: afpacket, afxdp or tap
	Note      string          `json:"note"`   // one sentence when that is not the wanted one, and why; else empty
	Device    string          `json:"device"`
	Present   bool            `json:"present"` // the device exists
	Up        bool            `json:"up"`      // administratively up, with carrier
	MTU       int             `json:"mtu"`     // bytes of Ethernet payload; 0 when unknown
	MAC       table.MAC       `json:"mac"`     // 0 when unknown
	Owned     bool            `json:"owned"`   // the engine sets its MTU
	Queues    int             `json:"queues"`
	Detail    string          `json:"detail"` // one line for people: driver, offloads, why down
	MACs      int             `json:"macs"`   // learned on the port
	Circuits  []Circuit       `json:"circuits"`
	RxFrames  uint64          `json:"rxFrames"`
	RxBytes   uint64          `json:"rxBytes"`
	TxFrames  uint64          `json:"txFrames"`
	TxBytes   uint64          `json:"txBytes"`
	TxRefused uint64          `json:"txRefused"` // the device did not take them
	RxDropped uint64          `json:"rxDropped"` // by driver or kernel, before any worker
}

// Circuit is an attachment circuit of a port.
type Circuit struct {
	VNI       table.VNI `json:"vni"`
	VLAN      uint16    `json:"vlan,omitempty"`      // 0 is untagged
	InnerVLAN uint16    `json:"innerVlan,omitempty"` // 0 is none
	All       bool      `json:"all,omitempty"`       // every frame, tags and all
}

// MAC is an FDB entry. It has a port or a VTEP.
type MAC struct {
	VNI       table.VNI  `json:"vni"`
	MAC       table.MAC  `json:"mac"`
	Port      string     `json:"port,omitempty"`
	VLAN      uint16     `json:"vlan,omitempty"`
	InnerVLAN uint16     `json:"innerVlan,omitempty"`
	VTEP      netip.Addr `json:"vtep"`              // zero when at a port, or behind a segment
	Segment   string     `json:"segment,omitempty"` // identifier of the segment of several leaves that it is behind
	Static    bool       `json:"static"`
	EVPN      bool       `json:"evpn"` // another node announces it
	// Quarantined: a duplicate; what the newcomer sends is dropped. Without VTEP
	// and port nobody is known to have it rightly.
	Quarantined bool            `json:"quarantined"`
	Age         config.Duration `json:"age"` // since a frame came from it; 0 for entries that do not age
}

// Liveness is the state of a peer's failure detection.
type Liveness uint8

// The values of Liveness.
const (
	LivenessOff  Liveness = iota // not configured
	LivenessUp                   // heard within the time
	LivenessDown                 // not heard: frames take other paths
)

// String returns "off", "up" or "down".
func (l Liveness) String() string {
	switch l {
	case LivenessUp:
		return "up"
	case LivenessDown:
		return "down"
	}
	return "off"
}

// MarshalText returns String.
func (l Liveness) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Peer is an underlay neighbour. Peers come in the configuration's order.
type Peer struct {
	Name       string           `json:"name"`
	Carrier    config.Carrier   `json:"carrier"`
	PublicKey  config.PublicKey `json:"publicKey"` // zero for plain
	Endpoint   netip.AddrPort   `json:"endpoint"`  // as of now; zero when not known
	AllowedIPs []netip.Prefix   `json:"allowedIPs"`
	Liveness   Liveness         `json:"liveness"`

	HasSession   bool            `json:"hasSession"`   // packets can be sealed for it
	SessionAge   config.Duration `json:"sessionAge"`   // of the current keys; valid iff HasSession
	HasHandshake bool            `json:"hasHandshake"` // one was completed since start
	HandshakeAge config.Duration `json:"handshakeAge"` // since the last one; valid iff HasHandshake

	RxPackets uint64 `json:"rxPackets"` // outer packets, after opening
	RxBytes   uint64 `json:"rxBytes"`
	TxPackets uint64 `json:"txPackets"` // outer packets, before sealing
	TxBytes   uint64 `json:"txBytes"`
	Transit   uint64 `json:"transit"` // of TxPackets: routed on by the spine
}

// Count is a named counter. Names of IEEE 802.1AE's MIB where it has one.
type Count struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// SecY is the MACsec of one VNI. SecYs come by VNI.
type SecY struct {
	VNI          table.VNI         `json:"vni"`
	Name         string            `json:"name"` // of the bridge domain
	Cipher       config.Cipher     `json:"cipher"`
	Mode         config.MACsecMode `json:"mode"`
	Encrypt      bool              `json:"encrypt"` // false: integrity only
	Offset       int               `json:"offset"`
	ReplayWindow uint32            `json:"replayWindow"`
	Overhead     int               `json:"overhead"` // bytes added to a frame
	TxSCI        config.SCI        `json:"txSci"`
	TxUsable     bool              `json:"txUsable"` // an SA is in use
	TxAN         uint8             `json:"txAn"`     // valid iff TxUsable
	TxSAs        []TxSA            `json:"txSas"`    // by AN
	RxSCs        []RxSC            `json:"rxScs"`    // by VTEP, then SCI
	Counters     []Count           `json:"counters"`
}

// TxSA is a transmit SA.
type TxSA struct {
	AN          uint8  `json:"an"`
	InUse       bool   `json:"inUse"`
	Fingerprint string `json:"fingerprint"` // of the SAK; tells keys apart, tells nothing of them
	SSCI        uint32 `json:"ssci"`        // 0 without XPN
	NextPN      uint64 `json:"nextPn"`
	GrantedPN   uint64 `json:"grantedPn"` // first number that may not be used yet
	SoftLimit   bool   `json:"softLimit"` // a new SAK is due
	OutPkts     uint64 `json:"outPkts"`
}

// RxSC is a receive channel.
type RxSC struct {
	VTEP     netip.Addr `json:"vtep"`
	SCI      config.SCI `json:"sci"`
	SAs      []RxSA     `json:"sas"` // by AN
	Counters []Count    `json:"counters"`
}

// RxSA is a receive SA.
type RxSA struct {
	AN          uint8   `json:"an"`
	Fingerprint string  `json:"fingerprint"`
	SSCI        uint32  `json:"ssci"`     // 0 without XPN
	NextPN      uint64  `json:"nextPn"`   // one more than the highest accepted
	LowestPN    uint64  `json:"lowestPn"` // as set; the window's end may be higher
	Counters    []Count `json:"counters"`
}

// CounterGroup is the counters of one thing.
type CounterGroup struct {
	Kind   string  `json:"kind"` // port, peer, vni, wireguard, worker, ...
	Name   string  `json:"name"` // of the thing; empty for the node as a whole
	Counts []Count `json:"counts"`
}

// Drop is how many frames one worker dropped for one reason. Only reasons that
// occurred.
type Drop struct {
	Worker string
	Reason counter.Reason
	Count  uint64
}

// MTU is what fits through a VNI. MTUs come by VNI.
type MTU struct {
	VNI         table.VNI `json:"vni"`
	Name        string    `json:"name"`        // of the bridge domain
	UnderlayMTU int       `json:"underlayMtu"` // bytes of IP packet on the underlay
	Layers      []Layer   `json:"layers"`      // from the outermost in
	Cap         int       `json:"cap"`         // from the configuration; 0 is none
	TenantMTU   int       `json:"tenantMtu"`   // bytes of Ethernet payload
}

// Layer is what one layer costs.
type Layer struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}
