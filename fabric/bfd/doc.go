// Package bfd is Bidirectional Forwarding Detection: RFC 5880 in asynchronous
// mode, over one hop (RFC 5881) and several (RFC 5883), as pure code. It reads no
// clock, opens no socket, starts no goroutine and takes no lock; whoever has those
// gives it time and packets, and sends what it returns.
//
//	packets --Receive--> +-------+ --Out--> packets
//	                     | Table |
//	time -----Tick-----> +-------+ --Event-> who acts on it
//
// The state machine of a session (RFC 5880 section 6.2), by the state that the
// other side says it is in; "timer" is the detection time:
//
//	          Down, timer              Down: stays Init
//	     +------------------+          +---+
//	     v                  |          v   |
//	  +------+   Down    +------+ <--------+
//	  | Down | --------> | Init |
//	  +------+           +------+
//	     |  ^ Down, timer    | Init, Up
//	Init |  |   +------+ <---+
//	     |  +-- |  Up  |
//	     +----> |      |  Init, Up: stays Up
//	            +------+
//
// Demand mode is not asked for, but the other side's is obeyed. There is no echo:
// the Required Min Echo RX Interval that is sent is 0.
//
// Layer 2. Times are ns since start, in int64; intervals on the wire are us.
package bfd
