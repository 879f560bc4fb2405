package rtt

// Seams of the tests.
var (
	ParseReply = parseReply
	Summary    = summary
)
