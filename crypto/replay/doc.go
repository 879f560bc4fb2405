// Package replay tells numbers seen for the first time from repeated and from
// too old ones, with a sliding window in the manner of RFC 6479, exactly and
// without a lock, for any number of concurrent workers.
//
// Use: Check a message's number before authenticating it, to drop cheaply what
// cannot be accepted; Mark it afterwards, and accept the message only if Mark
// returns OK. For one number Mark returns OK at most once, whatever runs beside
// it. Numbers are 64 bits wide and never wrap.
//
// # How it works
//
// RFC 6479 keeps a ring of bitmap words and clears the words that the window
// moves over, which needs a lock. Here each word says itself which block of
// numbers it is about:
//
//	number n    [ tag, 64-3-r bits | ring index, r bits | bit, 3 bits ]
//	                                 block = n >> 3
//	ring word   [ tag, 56 bits ......................... | 8-bit bitmap ]
//
// A word with another tag than n's is a leftover of an older block, and is
// replaced, tag and bitmap, by the compare-and-swap that sets n's bit. With 8
// numbers in a word, and a ring of at least 32 words, the tag is the whole upper
// part of the number: no two blocks look alike, however far numbers jump.
//
// # Why it is exact
//
// next is one more than the greatest number marked. Mark(n) first raises next
// above n, then swaps the word; and between loading the word and swapping it,
// loads next again and gives up when n has left the window. So whoever sees a
// word with the tag of block b in it and loads next afterwards sees a next
// above b's first number. If n is then still inside the window, b cannot be a
// later block than n's with the same ring index, because the ring is longer than
// the window: a foreign tag is always an older one, and replacing it forgets only
// numbers that every later Mark finds too old. All atomics are sequentially
// consistent, as sync/atomic guarantees.
//
// Layer 0: no other ZTOS package, no goroutine, no clock.
package replay
