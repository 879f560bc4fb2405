// Package wireguard is the WireGuard protocol for a run-to-completion data
// path: sessions that workers seal and open with, and the state machine that
// makes, renews and ends them. The standard is "WireGuard: Next Generation Kernel
// Network Tunnel" (Donenfeld), "the whitepaper" below; its section numbers are
// given second-hand, and where it is silent wireguard-go's behaviour decides: it is
// the peer in the interop tests.
//
//	      control goroutine                     workers
//	      -----------------                     -------
//	HandleMessage, Tick, AddPeer ...      IndexTable.Lookup, Session.Open*
//	    |                                 Peer.Reserve, Session.Seal*
//	    v                                     |
//	Node --> Peer.control (timers,            v
//	         handshake)        <-- atomics -- Peer (traffic, wants, endpoint)
//	    |                                     ^
//	    +-- Session (keys, counters) ---------+
//
// Who may call what. Node's methods are for one control goroutine. The methods
// of Peer, Session, AllowedIPs and IndexTable that say "worker" may be called by
// any worker at the same time as that; they take no lock per packet. A worker
// that loaded a *Session or a *Peer uses it in that burst only, so that control
// knows when a retired session's keys can be wiped (Node.TakeRetired).
//
// A worker's way out, for a group of packets to one peer:
//
//	s, first, r := peer.Reserve(now, n)           // counters for the whole group
//	size := s.SealRun(&batch, buf, slotLen, n, first, plainLen, lastLen, maxPlain)
//	... send buf[:size] to peer.Endpoint() ...
//	peer.Sent(now, s, n, size, true)
//
// and its way in, for a bundle of datagrams from one sender:
//
//	for _, o := range batch.OpenRun(node.Sessions(), now, buf, segSize) {
//		... o.Reason, o.Type, o.Session.Peer(), Inner(o.Plain), AllowsSource ...
//	}
//	batch.Report(now, src)
//
// No socket: messages come in by HandleMessage and leave as Out values. No
// clock: now is an int64, nanoseconds since some start, above 0 and never going
// back; the wall clock, which only time stamps need, is a function the caller
// gives. No goroutine. Layer 2: it imports engine/counter, engine/table and
// crypto, no other feature.
package wireguard
