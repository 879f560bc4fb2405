// Package tcpmd5 signs TCP segments and verifies signatures: the TCP MD5 signature
// option of RFC 2385, by which BGP's neighbours prove each other on a shared link, for
// IP stacks that cannot do it themselves. It works on whole IP packets.
//
//	Sign:   IP | TCP, options            | payload
//	     -> IP | TCP, options, 19 18 MD5 | payload     up to Overhead bytes more
//
// The digest is of the pseudo-header, the TCP header without options and with
// checksum 0, the payload and the password, in this order. Options are not signed.
//
// Layer 3. No state; any goroutine.
package tcpmd5
