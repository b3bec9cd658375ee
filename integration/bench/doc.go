// Command bench measures what onewriter costs: for each flavour it starts a pair of real servers, the built proxy and
// HAProxy in TCP mode in front of the primary, runs the same loads directly and through both in alternating short rounds,
// and prints Markdown: the bars with what was measured, then all figures. `make bench` installs what it needs and runs it.
//
// Absolute figures of a shared machine vary by a factor of two within minutes. What can be relied on are the ratios
// between targets of one round, of which the table shows the median and the range, and CPU time rather than elapsed
// time. It needs Linux for its /proc, and sysbench; without HAProxy its columns stay empty.
package main
