//go:build race

package fabric_test

// raceEnabled says that this program was built with the race detector.
const raceEnabled = true
