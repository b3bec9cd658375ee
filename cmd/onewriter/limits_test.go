package main

import (
	"bytes"
	"testing"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/conf"
)

func TestDescriptorsAreChecked(t *testing.T) {
	listeners := func(n ...int) *conf.Config {
		c := &conf.Config{Clusters: []conf.Cluster{{}}}
		for _, most := range n {
			c.Clusters[0].Listeners = append(c.Clusters[0].Listeners, conf.Listener{MaxConnections: most})
		}
		return c
	}
	if got := descriptorsNeeded(listeners(1000, 500)); got != 3200 {
		t.Errorf("%d descriptors for 1500 clients", got)
	}
	var log bytes.Buffer
	checkDescriptors(listeners(1), zerolog.New(&log))
	if log.Len() != 0 {
		t.Errorf("one client is too many: %s", &log)
	}
	checkDescriptors(listeners(1<<40), zerolog.New(&log))
	if !bytes.Contains(log.Bytes(), []byte(`"needed":2199023255752`)) {
		t.Errorf("no figure in %s", &log)
	}
}
