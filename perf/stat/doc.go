// Package stat holds the few statistics that measurements here need. Plain
// functions, nothing is kept.
package stat
