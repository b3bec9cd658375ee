package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/onewriter/onewriter/admin/client"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

const (
	gentlePause = 200 * time.Millisecond // of a writer after each transaction
	lookEvery   = 300 * time.Millisecond
)

// stay goes on with a gentle load until ctx is done, and tells when the primary role moves. The demo is judged already;
// what happens now is the user's doing.
func (d *show) stay(ctx context.Context) {
	d.invite()
	// The load outlives ctx a little so that its clients can finish; nothing that it does is verified, only counted.
	l, err := newLoad(context.WithoutCancel(ctx), d.stage.addrs, d.o, gentlePause, &d.ids)
	if err != nil {
		d.story.failed("the gentle load: %v", err)
		<-ctx.Done()
		return
	}
	defer l.close()
	l.forget = true
	l.start(d.o)
	d.watch(ctx, l)
	l.stop()
	d.story.print("\n%s more rows written after the summary, %d client errors. Cleaning up.", thousands(int(l.acknowledged.Load())), l.failures())
}

// watch looks for moves of the primary role until ctx is done.
func (d *show) watch(ctx context.Context, l *load) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	primary, told := d.result.Primary, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.stage.serve.Done():
			d.story.failed("onewriter serve has ended (%v); Ctrl-C cleans up", endOf(d.stage.serve.Err()))
			<-ctx.Done()
			return
		case <-tick.C:
		}
		if n := l.failures(); n > told {
			d.story.failed("%s client errors: %d so far, the last one: %s", clock(), n, l.lastError())
			told = n
		}
		status, err := d.stage.admin.Cluster(ctx, clusterName)
		if err == nil && status.Primary != "" && status.Primary != primary {
			primary = status.Primary
			d.story.print("  ok  %s the primary is %s now; %d client errors since the summary", clock(), primary, l.failures())
		}
		d.story.now("%s rows written since the summary, %d client errors, primary %s", thousands(int(l.acknowledged.Load())), l.failures(), primary)
	}
}

func clock() string { return time.Now().Format(time.TimeOnly) }

// invite prints what the user can do now.
func (d *show) invite() {
	a := d.stage.addrs
	admin := ""
	if "http://"+a.admin != client.DefaultAddress {
		admin = " --admin " + a.admin
	}
	me := d.o.Program
	if wd, err := filepath.Abs("."); err == nil {
		if rel, err := filepath.Rel(wd, me); err == nil && len(rel) < len(me) && filepath.IsLocal(rel) {
			me = rel
			if filepath.Base(rel) == rel {
				me = "./" + rel
			}
		}
	}
	lines := []string{
		"Try it from another terminal; a gentle load goes on here. Ctrl-C ends everything and removes all files.", "",
		fmt.Sprintf("  DSN (Go)   %s:%s@tcp(%s)/app", mysqltest.AppUser, mysqltest.AppPassword, a.primary),
		fmt.Sprintf("  writes     mysql -h127.0.0.1 -P%s -u%s -p%s app", port(a.primary), mysqltest.AppUser, mysqltest.AppPassword),
		fmt.Sprintf("  standby    mysql -h127.0.0.1 -P%s -u%s -p%s app", port(a.standby), mysqltest.AppUser, mysqltest.AppPassword),
		fmt.Sprintf("  watch      %s status --watch%s", me, admin),
		fmt.Sprintf("  move       %s switchover%s", me, admin),
		fmt.Sprintf("  by HTTP    curl -X POST -H 'Content-Type: application/json' -d '{}' http://%s/api/v1/clusters/%s/switchover", a.admin, clusterName),
		fmt.Sprintf("  status     curl http://%s/api/v1/clusters/%s", a.admin, clusterName),
		fmt.Sprintf("  config     %s    (log: onewriter.log beside it)", d.stage.config), "",
	}
	d.story.print("")
	for _, l := range lines {
		d.story.print("%s", l)
	}
}
