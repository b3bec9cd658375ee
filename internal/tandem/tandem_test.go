package tandem

import (
	"errors"
	"strings"
	"testing"
)

func TestWaitReturnsAfterTheFunction(t *testing.T) {
	ran := false
	Go(func() { ran = true })()
	if !ran {
		t.Error("it has not run")
	}
}

func TestFaultIsThatOfTheWaiter(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		if fault := (*FaultError)(nil); !errors.As(err, &fault) || fault.Fault != "odd" || !strings.Contains(err.Error(), "TestFaultIsThatOfTheWaiter") {
			t.Errorf("%v", err)
		}
	}()
	Go(func() { panic("odd") })()
	t.Error("wait has returned")
}
