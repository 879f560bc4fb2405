// Package nodetest has a small node for tests of what stands on the API: it keeps
// a configuration, an FDB, SecYs and an observation tap, and forwards nothing.
// It is a server.Backend.
package nodetest
