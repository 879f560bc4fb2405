// Package profile takes profiles of the process that it runs in, for a bounded
// time and one at a time, whoever asks.
//
// What a profile holds: names of functions, lines of code, and how much time,
// memory or waiting belongs to which stack; an execution trace, besides, when
// which goroutine ran and waited for what. No profile holds what memory contains,
// values of arguments or variables, so neither keys nor frames. What it does tell
// is how busy the node is and with what, which is why only who may use the API's
// socket gets one.
//
// What taking one costs: cpu, 100 interruptions per second and busy core; block
// and mutex, a look at the clock for every wait, and nothing once it has ended
// (the rates are zero at all other times); heap, one collection of garbage beside
// the traffic; goroutine, a halt of microseconds; trace, a few per cent of speed
// and up to MaxTrace of memory.
//
// Take starts no goroutine of its own and waits for the context. It imports
// nothing of the engine.
package profile
