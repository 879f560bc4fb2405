// Package lab builds whole fabrics on one machine from a YAML topology: network
// namespaces for leaves, spines, tenant hosts and plain Linux nodes, the veth
// links between them, keys and engine configurations, and the processes.
//
//	topology.yaml --Load--> Topology --New--> Lab: Up, Extend, Status, Exec, Down
//
//	    spine1      spine2          underlay: links, each with its own subnets;
//	   /  |   \    /  |   \         WireGuard peers follow from the links
//	leaf1 leaf2 leaf3
//	 |  |  |  |  |  |               ports: one veth pair for each tenant host
//	red blue ...
//
// Nothing connects a lab to the machine's own network: every device is made
// inside a namespace of the lab with its far end in another one.
//
// A lab has a run directory with its state file, keys, configurations and logs.
// Every resource is written to the state file before it is made, so Down takes
// away exactly what a lab made, also after Up was killed half way, and Up does
// that first when it finds such remains. Processes are known by their start
// time and by a random token in their environment, never by name or number
// alone.
//
// Driver `netns` is the only one so far. A Lab may be used from several
// goroutines; Up, Extend, Down, StartProcess and StopProcess exclude each other,
// also between programs, by a lock on the run directory. Root is needed.
package lab
