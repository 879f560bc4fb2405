// Command udpgen sends and counts UDP datagrams and finds the highest rate that
// a path carries without loss. It runs in the namespaces of the hosts; results
// are JSON on standard output.
//
//	udpgen recv -port 5300 -control SOCKET
//	udpgen send -to ADDRESS:5300 -control SOCKET -size 64 -rate 100000 -time 1s
//	udpgen search -to ADDRESS:5300 -control SOCKET -size 64
package main
