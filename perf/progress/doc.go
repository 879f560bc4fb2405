// Package progress shows how far a measurement is and how long it will still
// take.
package progress
