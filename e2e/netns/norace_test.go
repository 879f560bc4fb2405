//go:build netns && !race

package netns_test

// raceEnabled says that this program was built with the race detector.
const raceEnabled = false
