// Command ztosctl is the operator's tool: it looks at a node and changes it over
// the node's API socket, and runs labs.
//
// Results go to stdout, as tables or JSON; errors, progress and hints to stderr.
// Exit codes are in `ztosctl --help`.
package main

import "os"

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
