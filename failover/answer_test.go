package failover

import (
	"errors"
	"strings"
	"testing"
)

// Each kind of request gets its own words, and one that is refused at once is answered without a look at the executor,
// which may be in the middle of another operation's step. Here there is none to look at.
func TestAnswerRefusedAtOnce(t *testing.T) {
	for what, in := range map[string]input{"switchover": inRequest{}, "failover": inFailover{}, "rejoin": inRejoin{}} {
		t.Run(what, func(t *testing.T) {
			j, err := NewJournal(JournalConfig{})
			if err != nil {
				t.Fatal(err)
			}
			r := &record{id: "x", in: in, reply: make(chan reply, 1)}
			c := &Controller{cfg: Config{Journal: j}, pending: map[string]*record{"x": r}}
			_, actions := state{}.refuse("x", "Another operation is in progress.")
			c.answer(actions[0].(actReply))
			out := <-r.reply
			var refused *RefusedError
			if !errors.As(out.err, &refused) || !strings.HasPrefix(refused.Error(), what+" refused: Another") {
				t.Errorf("%v", out.err)
			}
		})
	}
}

func TestErrorTexts(t *testing.T) {
	for want, err := range map[string]error{
		"failover aborted in step apply: Too slow.": &AbortedError{What: "failover", Phase: "apply", Reasons: []string{"Too slow."}},
		"rejoin refused: It has more.":              &RefusedError{What: "rejoin", Reasons: []string{"It has more."}},
		"operation refused: No.":                    &RefusedError{Reasons: []string{"No."}},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A step can be cancelled before the executor has taken it up, and the next one is not cancelled by that.
func TestCancelBeforeTheStepIsTakenUp(t *testing.T) {
	c := &Controller{acting: t.Context(), work: make(chan work, 1)}
	c.begin(actRun{Step: stepPeek})
	c.cancelStep()
	if w := <-c.work; w.act.Step != stepPeek || w.ctx.Err() == nil {
		t.Errorf("step %s, %v", w.act.Step, w.ctx.Err())
	}
	c.begin(actRun{Step: stepInspect})
	if w := <-c.work; w.ctx.Err() != nil {
		t.Errorf("step %s, %v", w.act.Step, w.ctx.Err())
	}
	c.cancelStep()
}
