package main

import (
	"errors"
	"sync"

	"github.com/rs/zerolog"
)

// fates keeps the failure of one cluster's control from ending the others: clusters share nothing but the process. Its
// clients wait and then get errors; only when no cluster is left the process ends.
type fates struct {
	clusters int
	log      zerolog.Logger

	mu     sync.Mutex // guards failed
	failed []error
}

// decide takes the end of one cluster's control and returns an error when the process has to end.
func (f *fates) decide(cluster string, err error) error {
	if err == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.failed)+1 == f.clusters {
		return err
	}
	f.failed = append(f.failed, err)
	f.log.Error().Err(explainSetup(err)).Str("cluster", cluster).Msg("this cluster is given up, the others go on")
	return nil
}

// err is what became of the clusters that were given up, nil when none was.
func (f *fates) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.failed...)
}
