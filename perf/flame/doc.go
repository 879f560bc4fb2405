// Package flame draws a profile as a flame graph: one SVG file that needs
// nothing else, for a browser or a document.
//
//	+------+----------------+
//	| leaf |      leaf      |     width: how much of the total has this
//	+------+----------------+--+  function on its stack at this depth
//	|        caller            |
//	+--------------------------+
//	|       all (root)         |
//	+--------------------------+
//
// Functions of one family of packages (see package sample) have one colour, and a
// legend above the graph says how much belongs to each. The pointer over a
// function shows its whole name and its share; a click on it gives it the whole
// width, where the viewer runs scripts.
package flame
