// Package status holds the words in which a node shows what is, and takes single
// operations: plain types that control fills and takes, and that api carries.
// What is wanted of a node is package config's.
//
// Nothing here holds key material. Ages are spans, not times, so that clocks of
// two machines do not matter. Lists that are shown come sorted by name, VNI or
// address, as their type says. JSON names are stable: `ztosctl -o json` prints
// these types.
//
// Layer 3: no goroutine, no clock.
package status
