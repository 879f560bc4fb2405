package chart

// Seams of the tests.
var (
	LinearTicks = linearTicks
	LogTicks    = logTicks
	Short       = short
)

// Position returns where a value is on an axis from 0 to 100.
func Position(v, least, most float64, log bool) float64 {
	a := axis{from: 0, to: 100, least: least, most: most, log: log}
	return a.at(v)
}
