// Package noise is the WireGuard handshake as pure code: the pattern
// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s with TAI64N time stamps, the MACs and
// cookies around it, and the views of the four messages on the wire. It follows
// "WireGuard: Next Generation Kernel Network Tunnel" (Donenfeld, revision of
// 2020-06-01), section 5.4, called "the whitepaper" below.
//
//	initiator                                     responder
//	Initiate ------- 1 Initiation, 148 bytes ---> Accept, Verify
//	Finish   <------ 2 Response, 92 bytes ------- Respond
//	Jar.Take <------ 3 Cookie reply, 64 bytes --- Checker.Reply  (only under load)
//	         <------ 4 Data, 32 bytes or more --> both directions
//
// The package keeps no peers, sessions or timers: package wireguard does. Every
// value is for one goroutine at a time.
//
// No socket, no clock (time stamps and times are arguments), no goroutine.
// Randomness comes from a reader that the caller gives. Of ZTOS it imports
// crypto/secret only.
package noise
