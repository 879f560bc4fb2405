package noise

import "net/netip"

// labelLinkLocal sets the hash of LinkLocal apart from all others over keys.
const labelLinkLocal = "ztos link-local address v1"

// LinkLocal returns the IPv6 link-local address of whoever has k, by which its
// peers know it inside their sessions: fe80::/64 and, as interface identifier, the
// first 8 bytes of BLAKE2s-256(label | k). Of n nodes two
// have the same with a probability of n²/2⁶⁵.
func (k PublicKey) LinkLocal() netip.Addr {
	h := hash([]byte(labelLinkLocal), k[:])
	a := [16]byte{0: 0xfe, 1: 0x80}
	copy(a[8:], h[:8])
	return netip.AddrFrom16(a)
}
