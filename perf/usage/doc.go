// Package usage reads from the kernel what processes and the whole machine have
// used: processor time and memory. Linux only.
package usage
