// Package demo is what `onewriter demo` shows and measures: clients that write and read through a running proxy, and the
// proof afterwards, on the servers themselves, that none of their writes is missing or in the wrong place. It sees
// nothing of the proxy but its addresses.
package demo
