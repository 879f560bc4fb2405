// Package config is the node's YAML document: its typed tree, its defaults, and
// every check that needs nothing but the document itself.
//
//	bytes --Parse--> decode (strict) --> Defaults --> Validate --> *Node
//
// Parse reports all faults at once, each with file, line, path and what to do.
// Unknown keys, duplicate keys, anchors, aliases and tags are faults. Files that
// the document names (keys) are not opened here; whether a tenant MTU fits the
// underlay is not computed here either.
//
// Lists that name things (peers, ports, bridge domains) keep the document's
// order. The tree is plain data: it is not safe for concurrent writing.
package config
