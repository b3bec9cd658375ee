// Package proxyproto reads and writes the header by which a proxy tells who its client is: the PROXY protocol of
// HAProxy, versions 1 and 2 (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
package proxyproto
