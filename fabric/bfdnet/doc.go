// Package bfdnet runs BFD: it gives a bfd.Table the time and the packets of UDP
// sockets, in the engine's own IP stack or the kernel's, and tells of changes.
//
//	socket of a port --Ready, Recv--> +---------+ --Send--> socket of a session
//	                                  | Service |
//	timer --------------------------> +---------+ --Event-> control
//
// A failure must not be seen where only this process had to wait for a processor.
// So before a detection time counts as over, the sockets are emptied; and when the
// timer itself came late, workers get as long to bring what they hold.
//
// Goroutines: one for the timers, one for each port and address that is listened
// at; all end with Close. No worker waits for any of them. Layer 3.
package bfdnet
