package usage

// Seams of the tests.
var (
	ParseStat   = parseStat
	ParseStatus = parseStatus
	ParseSystem = parseSystem
)
