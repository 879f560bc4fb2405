package config

import (
	"fmt"
	"slices"
	"strings"
)

// parseEnum returns the 1-based place of s in words.
func parseEnum(what, s string, words []string) (uint8, error) {
	if i := slices.Index(words, s); i >= 0 {
		return uint8(i + 1), nil
	}
	return 0, fmt.Errorf("%q is not a %s: want %s", s, what, strings.Join(words, ", "))
}

// enumString is the reverse of parseEnum; empty for the zero value.
func enumString(v uint8, words []string) string {
	if v == 0 || int(v) > len(words) {
		return ""
	}
	return words[v-1]
}

// Role is what a node does in the fabric. The zero value means that the document does not say.
type Role uint8

// The values of Role.
const (
	Leaf  Role = iota + 1 // tenant ports, bridge domains, SecYs, a VTEP
	Spine                 // routes between peers within a VRF; holds no MACsec key
)

var roleWords = []string{"leaf", "spine"}

// ParseRole returns the Role that s names.
func ParseRole(s string) (Role, error) {
	v, err := parseEnum("role", s, roleWords)
	return Role(v), err
}

// String returns the word of the document, empty for the zero value.
func (v Role) String() string { return enumString(uint8(v), roleWords) }

// MarshalText returns String.
func (v Role) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseRole.
func (v *Role) UnmarshalText(b []byte) (err error) {
	*v, err = ParseRole(string(b))
	return err
}

// Carrier says how packets travel to an underlay neighbour. The zero value means that the document does not say.
type Carrier uint8

// The values of Carrier.
const (
	CarrierWireGuard Carrier = iota + 1 // inside a WireGuard session
	CarrierPlain                        // VXLAN straight on the underlay, unprotected below MACsec
)

var carrierWords = []string{"wireguard", "plain"}

// ParseCarrier returns the Carrier that s names.
func ParseCarrier(s string) (Carrier, error) {
	v, err := parseEnum("carrier", s, carrierWords)
	return Carrier(v), err
}

// String returns the word of the document, empty for the zero value.
func (v Carrier) String() string { return enumString(uint8(v), carrierWords) }

// MarshalText returns String.
func (v Carrier) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseCarrier.
func (v *Carrier) UnmarshalText(b []byte) (err error) {
	*v, err = ParseCarrier(string(b))
	return err
}

// PortKind is the driver of a tenant port. The zero value means that the document does not say.
type PortKind uint8

// The values of PortKind.
const (
	AFPacket PortKind = iota + 1 // a netdev of the host, by an AF_PACKET socket
	TAP                          // a TAP device that the engine creates and owns
	AFXDP                        // a netdev of the host, by AF_XDP sockets
	AutoPort                     // AFXDP where the device's driver has zero copy, AFPacket elsewhere
)

var portKindWords = []string{"afpacket", "tap", "afxdp", "auto"}

// ParsePortKind returns the PortKind that s names.
func ParsePortKind(s string) (PortKind, error) {
	v, err := parseEnum("port kind", s, portKindWords)
	return PortKind(v), err
}

// String returns the word of the document, empty for the zero value.
func (v PortKind) String() string { return enumString(uint8(v), portKindWords) }

// MarshalText returns String.
func (v PortKind) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParsePortKind.
func (v *PortKind) UnmarshalText(b []byte) (err error) {
	*v, err = ParsePortKind(string(b))
	return err
}

// Fallback is what becomes of a port when AF_XDP does not go with its device. The zero value means that the document does not say.
type Fallback uint8

// The values of Fallback.
const (
	FallbackAFPacket Fallback = iota + 1 // it goes by AF_PACKET, and its status says why
	FallbackNone                         // the document is refused; later, the port is down
)

var fallbackWords = []string{"afpacket", "none"}

// ParseFallback returns the Fallback that s names.
func ParseFallback(s string) (Fallback, error) {
	v, err := parseEnum("fallback", s, fallbackWords)
	return Fallback(v), err
}

// String returns the word of the document, empty for the zero value.
func (v Fallback) String() string { return enumString(uint8(v), fallbackWords) }

// MarshalText returns String.
func (v Fallback) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseFallback.
func (v *Fallback) UnmarshalText(b []byte) (err error) {
	*v, err = ParseFallback(string(b))
	return err
}

// HostMode says who owns the node's own address in the fabric VRF. The zero value means that the document does not say.
type HostMode uint8

// The values of HostMode.
const (
	HostNetstack HostMode = iota + 1 // a stack inside the engine
	HostTUN                          // the host's kernel, by a TUN device
	HostNone                         // nobody; packets to the node itself are dropped and counted
)

var hostModeWords = []string{"netstack", "tun", "none"}

// ParseHostMode returns the HostMode that s names.
func ParseHostMode(s string) (HostMode, error) {
	v, err := parseEnum("host mode", s, hostModeWords)
	return HostMode(v), err
}

// String returns the word of the document, empty for the zero value.
func (v HostMode) String() string { return enumString(uint8(v), hostModeWords) }

// MarshalText returns String.
func (v HostMode) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseHostMode.
func (v *HostMode) UnmarshalText(b []byte) (err error) {
	*v, err = ParseHostMode(string(b))
	return err
}

// UDPChecksum says what the outer UDP checksum of VXLAN holds. The zero value means that the document does not say.
type UDPChecksum uint8

// The values of UDPChecksum.
const (
	ChecksumAuto UDPChecksum = iota + 1 // zero over IPv4, full over IPv6
	ChecksumZero                        // always zero
	ChecksumFull                        // always computed
)

var uDPChecksumWords = []string{"auto", "zero", "full"}

// ParseUDPChecksum returns the UDPChecksum that s names.
func ParseUDPChecksum(s string) (UDPChecksum, error) {
	v, err := parseEnum("UDP checksum mode", s, uDPChecksumWords)
	return UDPChecksum(v), err
}

// String returns the word of the document, empty for the zero value.
func (v UDPChecksum) String() string { return enumString(uint8(v), uDPChecksumWords) }

// MarshalText returns String.
func (v UDPChecksum) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseUDPChecksum.
func (v *UDPChecksum) UnmarshalText(b []byte) (err error) {
	*v, err = ParseUDPChecksum(string(b))
	return err
}

// Cipher is a MACsec cipher suite. The zero value means that the document does not say.
type Cipher uint8

// The values of Cipher.
const (
	GCMAES128    Cipher = iota + 1 // 128-bit key, 32-bit packet numbers
	GCMAES256                      // 256-bit key, 32-bit packet numbers
	GCMAESXPN128                   // 128-bit key, 64-bit packet numbers
	GCMAESXPN256                   // 256-bit key, 64-bit packet numbers
)

var cipherWords = []string{"gcm-aes-128", "gcm-aes-256", "gcm-aes-xpn-128", "gcm-aes-xpn-256"}

// ParseCipher returns the Cipher that s names.
func ParseCipher(s string) (Cipher, error) {
	v, err := parseEnum("cipher suite", s, cipherWords)
	return Cipher(v), err
}

// String returns the word of the document, empty for the zero value.
func (v Cipher) String() string { return enumString(uint8(v), cipherWords) }

// MarshalText returns String.
func (v Cipher) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseCipher.
func (v *Cipher) UnmarshalText(b []byte) (err error) {
	*v, err = ParseCipher(string(b))
	return err
}

// MACsecMode says what of the tenant frame MACsec covers. The zero value means that the document does not say.
type MACsecMode uint8

// The values of MACsecMode.
const (
	ModeStandard MACsecMode = iota + 1 // IEEE 802.1AE: DA and SA stay readable
	ModeHidden                         // the whole tenant frame, DA and SA too; 14 bytes more
)

var mACsecModeWords = []string{"standard", "hidden"}

// ParseMACsecMode returns the MACsecMode that s names.
func ParseMACsecMode(s string) (MACsecMode, error) {
	v, err := parseEnum("MACsec mode", s, mACsecModeWords)
	return MACsecMode(v), err
}

// String returns the word of the document, empty for the zero value.
func (v MACsecMode) String() string { return enumString(uint8(v), mACsecModeWords) }

// MarshalText returns String.
func (v MACsecMode) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseMACsecMode.
func (v *MACsecMode) UnmarshalText(b []byte) (err error) {
	*v, err = ParseMACsecMode(string(b))
	return err
}

// Protection says whether a VNI is protected by MACsec. The zero value means that the document does not say.
type Protection uint8

// The values of Protection.
const (
	ProtectMACsec Protection = iota + 1 // every frame; what arrives without is dropped
	ProtectNone                         // no MACsec on this VNI
)

var protectionWords = []string{"macsec", "none"}

// ParseProtection returns the Protection that s names.
func ParseProtection(s string) (Protection, error) {
	v, err := parseEnum("protection", s, protectionWords)
	return Protection(v), err
}

// String returns the word of the document, empty for the zero value.
func (v Protection) String() string { return enumString(uint8(v), protectionWords) }

// MarshalText returns String.
func (v Protection) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseProtection.
func (v *Protection) UnmarshalText(b []byte) (err error) {
	*v, err = ParseProtection(string(b))
	return err
}

// LimitAction says what happens to a frame whose source MAC may not be learned. The zero value means that the document does not say.
type LimitAction uint8

// The values of LimitAction.
const (
	LimitForward LimitAction = iota + 1 // forward it, do not learn
	LimitDrop                           // drop it
)

var limitActionWords = []string{"forward", "drop"}

// ParseLimitAction returns the LimitAction that s names.
func ParseLimitAction(s string) (LimitAction, error) {
	v, err := parseEnum("MAC limit action", s, limitActionWords)
	return LimitAction(v), err
}

// String returns the word of the document, empty for the zero value.
func (v LimitAction) String() string { return enumString(uint8(v), limitActionWords) }

// MarshalText returns String.
func (v LimitAction) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseLimitAction.
func (v *LimitAction) UnmarshalText(b []byte) (err error) {
	*v, err = ParseLimitAction(string(b))
	return err
}

// UnknownAction says what happens to a question about an unknown address. The zero value means that the document does not say.
type UnknownAction uint8

// The values of UnknownAction.
const (
	UnknownFlood UnknownAction = iota + 1 // flood it
	UnknownDrop                           // drop it
)

var unknownActionWords = []string{"flood", "drop"}

// ParseUnknownAction returns the UnknownAction that s names.
func ParseUnknownAction(s string) (UnknownAction, error) {
	v, err := parseEnum("behaviour for unknown addresses", s, unknownActionWords)
	return UnknownAction(v), err
}

// String returns the word of the document, empty for the zero value.
func (v UnknownAction) String() string { return enumString(uint8(v), unknownActionWords) }

// MarshalText returns String.
func (v UnknownAction) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseUnknownAction.
func (v *UnknownAction) UnmarshalText(b []byte) (err error) {
	*v, err = ParseUnknownAction(string(b))
	return err
}

// XPN reports whether v numbers packets with 64 bits: it then needs an SSCI per
// secure channel and a salt per SA.
func (v Cipher) XPN() bool { return v == GCMAESXPN128 || v == GCMAESXPN256 }

// KeyLen returns the length of v's SAK in bytes, 0 for the zero value.
func (v Cipher) KeyLen() int {
	switch v {
	case GCMAES128, GCMAESXPN128:
		return 16
	case GCMAES256, GCMAESXPN256:
		return 32
	}
	return 0
}
