// Package iperf runs iperf3(1) between two namespaces of a test bed and reads
// what it reports.
package iperf
