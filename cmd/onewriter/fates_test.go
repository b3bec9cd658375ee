package main

import (
	"errors"
	"testing"

	"github.com/rs/zerolog"
)

func TestOneClusterFailsAlone(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	f := &fates{clusters: 2, log: zerolog.Nop()}
	if err := f.decide("a", nil); err != nil || f.err() != nil {
		t.Errorf("an orderly end: %v, %v", err, f.err())
	}
	if err := f.decide("a", first); err != nil || !errors.Is(f.err(), first) {
		t.Errorf("the first failure: %v, %v", err, f.err())
	}
	if err := f.decide("b", second); !errors.Is(err, second) {
		t.Errorf("the last one: %v", err)
	}
	if err := (&fates{clusters: 1, log: zerolog.Nop()}).decide("a", first); !errors.Is(err, first) {
		t.Errorf("the only one: %v", err)
	}
}
