// Command perfquick measures ZTOS and its peers in a few minutes, prints a
// table and writes the figures as JSON. `make perf-quick` runs it.
package main
