// Package metrics reads from engines what a measurement asks of them: that no
// frame failed its authentication or was taken for a replay, how many frames
// they took in, and how often they allocated: all of an engine, and its workers.
package metrics
