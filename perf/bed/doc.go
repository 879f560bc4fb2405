// Package bed is the test bed that every engine under measurement shares: a lab
// that is up, five nodes of it in a row, and links of their own between hosts
// and leaves for whatever is compared with ZTOS.
//
//	red1 ---- leaf1 ==== spine1 ==== leaf2 ---- red2
//	    1500        9000        9000        1500       MTU, bytes, in the standard lab
//
// The lab makes and removes everything: Close takes it down, and Open removes
// what a killed run left behind. One bed of a name at a time on a machine.
package bed
