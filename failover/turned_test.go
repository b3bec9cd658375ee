package failover

import (
	"strings"
	"testing"
)

// A control account with a wrong password is told from servers that are down.
func TestWrongControlPassword(t *testing.T) { onPairs(t, testWrongControlPassword) }

func testWrongControlPassword(t *testing.T, c *cluster) {
	c.password = "wrong"
	ctl, _ := c.start(nil)
	st := c.waitState(ctl, StateNoPrimary)
	if len(st.Reasons) != 3 || !strings.Contains(st.Reasons[0], "the control account was turned away by a and b: check control.user and control.password") {
		t.Errorf("reasons %q", st.Reasons)
	}
	for i, name := range []string{"a", "b"} {
		if r := st.Reasons[i+1]; !strings.HasPrefix(r, name+" (") || !strings.Contains(r, "does not let the control account in: ") || !strings.Contains(r, "1045") {
			t.Errorf("of %s it says %q", name, r)
		}
	}
}
