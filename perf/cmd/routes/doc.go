// Command routes measures how fast ztos-engine and FRR take EVPN routes of types 2
// and 5, and writes JSON, a table and the generated part of docs/evpn-scale.md. It
// needs root and FRR.
package main
