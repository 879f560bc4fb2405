// Command profile brings a test bed up, loads it in both directions, and writes
// CPU, heap, block, mutex and trace profiles of leaf1, spine1 and leaf2 with their
// flame graphs. `make profile` runs it.
package main
