// Package client calls a node's API on its unix socket, in the types of
// config/status. Errors are what the Backend returned, as far as that travels:
// config.Faults with all faults, and errors that wrap status.ErrNotFound,
// status.ErrPrecondition or ErrUnreachable.
package client
