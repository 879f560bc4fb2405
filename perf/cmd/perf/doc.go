// Command perf measures ZTOS layer by layer and its peers, prints tables, and
// writes the figures as JSON and as charts. `make perf` runs it.
//
//	perf -rounds 5                         everything
//	perf -quick                            one short round of the main modes
//	perf -from build/perf.json -doc docs/performance.md   no measurement: charts and
//	                                       the generated part of a document, of a result
package main
