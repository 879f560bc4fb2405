// Package chart draws the charts of measurements, as SVG for documents and as
// PNG for everything else. Both come from one list of shapes, so they look the
// same.
//
//	Bars, Spans --Drawing()--> Drawing --WriteSVG, WritePNG--> file
//
// It knows nothing of what is measured. Lengths are in CSS pixels.
package chart
