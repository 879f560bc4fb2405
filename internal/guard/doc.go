// Package guard holds no code, only tests over the repository itself: that
// imports go downward through the layers, that the forwarding layers neither log
// nor read a clock, that every exported name is documented, that citations and
// words are those of docs/, and that docs/counters.md is what the code says.
//
// `make layers` runs them alone; they are part of `make test`.
package guard
