// Package profile looks at whole nodes under load: it brings a test bed up, sends
// traffic through leaf1, spine1 and leaf2, and takes profiles of the three engines
// over their APIs at the same time. `make profile` and `make pgo` run it.
//
//	red1 ---- leaf1 ==== spine1 ==== leaf2 ---- red2
//	          ----------- a ----------->
//	          <---------- b ------------
//
// The bed is the row of these five nodes and nothing else, so that all traffic
// passes the engines that are looked at and no other engine takes their time.
package profile
