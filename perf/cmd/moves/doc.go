// Command moves measures how long a fabric takes to follow hosts that move from one
// leaf to another, and writes JSON, a table and the generated part of
// docs/evpn-convergence.md. It needs root.
package main
