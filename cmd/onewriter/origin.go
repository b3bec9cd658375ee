package main

import (
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/proxy"
)

// proxyProtocolOf is what a listener takes from load balancers before it.
func proxyProtocolOf(l conf.ListenerProxyProtocol) proxy.ProxyProtocol {
	return proxy.ProxyProtocol{Networks: l.Prefixes(), Optional: !l.Required, Timeout: l.Timeout}
}

// serverProxyProtocol is what the servers of a cluster are told.
func serverProxyProtocol(cc conf.Cluster) proxyproto.Version {
	switch cc.ServerProxyProtocol {
	case conf.ProxyProtocolV1:
		return proxyproto.V1
	case conf.ProxyProtocolV2:
		return proxyproto.V2
	case conf.ProxyProtocolOff:
	}
	return proxyproto.Off
}
