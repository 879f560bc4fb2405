// Package convert turns the types of config/status into the messages of ztos.v1
// and back. Server and client share it, so what one writes the other reads.
//
// From... functions read what another program sent: they return config.Faults
// with the path of each field that can't be understood, never panic, and accept
// nothing out of range.
package convert
