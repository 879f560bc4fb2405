package config

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// BridgeDomain is one VNI on a leaf: its attachment circuits, its remote VTEPs,
// and its protection.
type BridgeDomain struct {
	// VXLAN network identifier, 1 to 16777215, unique. Required.
	VNI table.VNI `yaml:"vni"`
	// A name for people, unique: 1 to 32 of a-z, 0-9 and hyphen. Default
	// vni-NUMBER.
	Name string `yaml:"name"`
	// Cap of the tenant MTU, bytes of Ethernet payload, 576 to 65535; 0 is the
	// largest that the underlay allows. Default 0.
	MTU int `yaml:"mtu"`
	// The attachment circuits. May be empty.
	Attach []Attach `yaml:"attach"`
	// The remote VTEPs of the VNI; BUM frames go to each (ingress replication).
	VTEPs []netip.Addr `yaml:"vteps"`
	// MACs that are not learned and do not move.
	StaticMACs []StaticMAC `yaml:"static-macs"`
	// Name of the VRF in which hosts of the bridge domain are routed; needs a
	// gateway. Default: none, only bridged.
	VRF string `yaml:"vrf"`
	// The router of the bridge domain. Default: none.
	Gateway *Gateway `yaml:"gateway"`
	// Hosts whose MAC is not asked for.
	StaticNeighbours []StaticNeighbour `yaml:"static-neighbours"`
	// Time after which an unused learned MAC is forgotten, 1s to 1000000s.
	// Default 300s.
	Ageing Duration `yaml:"ageing"`
	// Most MACs learned in the bridge domain; 0 is no limit. Default 0.
	MACLimit uint32 `yaml:"mac-limit"`
	// What happens to a frame over the MAC limit: forward (do not learn) or
	// drop. Default forward.
	MACLimitAction LimitAction `yaml:"mac-limit-action"`
	// BUM limits, in place of all of `storm-defaults`.
	Storm *Storm `yaml:"storm"`
	// Clamps the TCP MSS to the tenant MTU. Default true.
	MSSClamp Switch `yaml:"mss-clamp"`
	// Keys and rules of MACsec. Required unless protection is none.
	MACsec *MACsec `yaml:"macsec"`
	// macsec, or none: no MACsec on this VNI, which must be said. Default macsec.
	Protection Protection `yaml:"protection"`
	// Answers ARP requests and neighbour solicitations of hosts here for hosts that
	// other leaves announce, and announces the addresses of hosts here; needs `bgp`.
	// Default false.
	Suppress bool `yaml:"suppress"`
	// What happens to such a question about an address that nobody announced: flood
	// or drop. With suppress only. Default flood.
	SuppressUnknown UnknownAction `yaml:"suppress-unknown"`
	// Most addresses of hosts here that are announced, 1 to 1048576. With suppress
	// only. Default 16384.
	BindingLimit uint32 `yaml:"binding-limit"`
	// The most at one port, 1 to 1048576. With suppress only. Default 1024.
	PortBindingLimit uint32 `yaml:"port-binding-limit"`
	// How the bridge domain appears in EVPN. Default: derived from `bgp` where
	// there is that section, otherwise refused.
	EVPN *EVPN `yaml:"evpn"`
}

// Attach is an attachment circuit: a port, or one VLAN of it.
type Attach struct {
	// Name of the port. Required.
	Port string `yaml:"port"`
	// 802.1Q VLAN, 1 to 4094; 0 is untagged frames. Default 0.
	VLAN uint16 `yaml:"vlan"`
	// Inner VLAN of a QinQ stack, 1 to 4094, under `vlan`; 0 is none. Default 0.
	InnerVLAN uint16 `yaml:"inner-vlan"`
	// Takes every frame of the port and carries its tags through. Default false.
	All bool `yaml:"all"`
}

// StaticMAC places a MAC at an attachment circuit or behind a remote VTEP.
type StaticMAC struct {
	// The address; unicast. Required.
	MAC table.MAC `yaml:"mac"`
	// Name of a port attached to the bridge domain. One of port and vtep.
	Port string `yaml:"port"`
	// VLAN of the attachment circuit. Default 0.
	VLAN uint16 `yaml:"vlan"`
	// Inner VLAN of the attachment circuit. Default 0.
	InnerVLAN uint16 `yaml:"inner-vlan"`
	// A remote VTEP of the bridge domain. One of port and vtep.
	VTEP netip.Addr `yaml:"vtep"`
}

// Storm limits BUM frames, each kind for itself, in frames per second; 0 is
// unlimited.
type Storm struct {
	// Broadcast frames per second. Default 0.
	Broadcast uint64 `yaml:"broadcast,keep"`
	// Multicast frames per second. Default 0.
	Multicast uint64 `yaml:"multicast,keep"`
	// Frames per second to unknown unicast MACs. Default 0.
	UnknownUnicast uint64 `yaml:"unknown-unicast,keep"`
}

// MACsec is the SecY of one VNI with its static keys.
type MACsec struct {
	// Cipher suite: gcm-aes-128, gcm-aes-256, gcm-aes-xpn-128 or
	// gcm-aes-xpn-256. Default gcm-aes-256.
	Cipher Cipher `yaml:"cipher"`
	// standard, or hidden: DA and SA are protected too. Default standard.
	Mode MACsecMode `yaml:"mode"`
	// Encrypts; false is integrity only. Default true.
	Encrypt Switch `yaml:"encrypt"`
	// Bytes of secure data that stay readable: 0, 30 or 50; not with XPN, not
	// without encryption, not in hidden mode. Default 0.
	Offset int `yaml:"offset"`
	// Packet numbers by which a frame may be late, 0 to 16777216; 0 is strictly in
	// order. Default 65529.
	ReplayWindow *uint32 `yaml:"replay-window"`
	// The transmit secure channel. Required.
	Tx TxSC `yaml:"tx"`
	// The receive secure channels, at least one for each remote VTEP. With `evpn`
	// those that they name may announce the VNI.
	Peers []RxSC `yaml:"peers"`
}

// TxSC is the transmit secure channel of a SecY.
type TxSC struct {
	// Secure channel identifier, 16 hex digits, unique in the VNI. Required.
	SCI SCI `yaml:"sci"`
	// Short SCI, unique in the VNI; required with XPN, otherwise refused.
	SSCI uint32 `yaml:"ssci"`
	// Number of the SA in use, 0 to 3. Default 0.
	AN uint8 `yaml:"an,keep"`
	// Its secure associations, 1 to 4.
	SAs []SA `yaml:"sas"`
}

// RxSC is a receive secure channel of a SecY.
type RxSC struct {
	// The remote VTEP that sends on it. Required.
	VTEP netip.Addr `yaml:"vtep"`
	// Secure channel identifier, 16 hex digits, unique in the VNI. Required.
	SCI SCI `yaml:"sci"`
	// Short SCI, unique in the VNI; required with XPN, otherwise refused.
	SSCI uint32 `yaml:"ssci"`
	// Its secure associations, 1 to 4; all of them receive.
	SAs []SA `yaml:"sas"`
}

// SA is a secure association with a static key.
type SA struct {
	// Association number, 0 to 3, unique in its channel.
	AN uint8 `yaml:"an,keep"`
	// File with the SAK in hex, mode 0600: 32 digits for a 128-bit suite, 64 for
	// a 256-bit suite. Required.
	KeyFile string `yaml:"key-file"`
	// File with the salt, 24 hex digits, mode 0600; required with XPN, otherwise
	// refused.
	SaltFile string `yaml:"salt-file"`
}
