// Command scale measures how the engine's cost grows with its load, and writes
// JSON, a table, plots and the generated part of docs/scale.md. It needs root.
package main
