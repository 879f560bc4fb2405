// Package relay carries BGP sessions between GoBGP, which opens and accepts TCP
// connections by itself and only in the kernel, and wherever the peers are: the
// node's own IP stack, the device ztos0, a customer's port.
//
//	peer 10.255.0.9 <--Transport--> [ In > scrub > ]  <--loopback--> GoBGP
//	                                [ < scrub < Out ]     127.179.0.2 is the peer,
//	                                                      127.179.0.1 GoBGP
//
// Each peer has a loopback address of its own, by which GoBGP knows it. GoBGP
// dials it there, and the relay dials the peer; the peer dials, and the relay
// dials GoBGP from there. Of two connections that cross the relay lets GoBGP see the
// one that stays (RFC 4271 section 6.8): a peer has one at a time.
//
// Loopback is open to every process of the machine, therefore its connections
// carry TCP MD5 signatures (RFC 2385) under a random key of the process: nobody
// else can speak to GoBGP, nor as GoBGP.
//
// Messages pass package scrub in both directions. Passwords, TTL security and
// devices are the Transport's, on the connection that leaves the machine.
//
// Goroutines: one for each listener, one for each connection and direction; all
// end with Close. Layer 3.
package relay
