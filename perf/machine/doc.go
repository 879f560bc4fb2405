// Package machine says what machine a measurement ran on, and what it is worth at
// the moment: machines swing by a factor of two within minutes.
package machine
