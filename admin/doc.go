// Package admin is the HTTP endpoint of a process: the API that scripts and the command line use, the event stream,
// the health checks for load balancers and Kubernetes, and the metrics for Prometheus.
//
// It knows the clusters only by the interface Cluster, so it can be tested without a database and serves whatever
// the process is made of. Mutations run to their end even when the client that asked for them goes away.
package admin
