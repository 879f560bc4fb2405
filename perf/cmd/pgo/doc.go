// Command pgo makes the profile that the compiler optimises the engine by, and
// measures its gain:
//
//	pgo collect   load a test bed, profile its engines, write default.pgo
//	pgo gain      compare an engine built without it with one built with it
//
// `make pgo` and `make pgo-gain` run it.
package main
