// Command rtt measures round trips to a host and prints percentiles as JSON. It
// runs in the namespace of a host.
package main
