// Package netns holds the end-to-end tests that need root: whole fabrics of
// ztos-engine processes in network namespaces, made from the topologies of
// lab/ and of testdata/, with the checks of e2e/check run on them. They have the
// build tag netns.
//
// Layer 5.
package netns
