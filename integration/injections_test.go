package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

const (
	// injected is how long an injury lasts that has no length of its own. It is twice what a failover would take.
	injected = 5 * time.Second
	// goesOnWithin is how long after the end of an injury each client must have had a new write acknowledged, and
	// runsWithin how long until the cluster runs with all servers.
	goesOnWithin = 10 * time.Second
	runsWithin   = 30 * time.Second
)

// toldToClients are the errors that clients may get while nobody reaches the primary; see docs/failover.md.
var toldToClients = []uint16{1053, 1213, 1290, 1317}

// injection is something that looks like the death of a primary, or distracts from it, and is none.
type injection struct {
	name    string
	verdict string // that it must lead to at least, "" for none
	do      func(x *besieged, round int) error
}

var injections = []injection{
	{"proxy and primary cut for 5 s", "MY_LINK", func(x *besieged, _ int) error { return x.sever((*faultnet.Link).Cut, injected) }},
	{"all connections of the primary taken for 5 s", "", (*besieged).exhaust},
	{"proxy rejected at the primary for 5 s", "MY_LINK", func(x *besieged, _ int) error { return x.sever((*faultnet.Link).Reject, injected) }},
	{"primary stopped for 1.5 s", "", (*besieged).stall},
	{"wrong replication password and a cut of 3.5 s", "", (*besieged).lockOut},
	{"standby locked for 5 s", "", (*besieged).lag},
}

// besieged is a patient that onewriter reaches over links, and whose servers reach each other without them. Its primary
// must stay what it is.
type besieged struct {
	*patient
	links            map[string]*faultnet.Link
	primary, standby string
	epoch            uint64
	clients          []*load // of one client each
	seen             uint64  // the last event of the journal that was judged
}

// besiege starts a pair of which nothing but the verdict keeps onewriter from a failover, and clients.
func besiege(t *testing.T, f mysqltest.Flavor) *besieged {
	t.Helper()
	mysqltest.RequireFlavor(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pair, err := mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: f, StartReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	x := &besieged{patient: &patient{t: t, pair: pair, ids: map[string]uint32{}}, links: map[string]*faultnet.Link{}}
	addrs := make([]string, len(pair.Servers))
	for i, s := range pair.Servers {
		l, err := faultnet.Listen(s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		name := string(rune('a' + i))
		addrs[i], x.links[name], x.ids[name] = l.Addr(), l, serverID(t, s)
	}
	x.o = configure(t, automaticFailover, addrs...)
	x.o.start()
	x.o.ready()
	x.whole()
	st := x.o.status()
	if len(st.Blocked) > 0 {
		t.Fatalf("no failover would happen anyway: %q", st.Blocked)
	}
	x.primary, x.epoch, x.standby = st.Primary, st.Epoch, "b"
	if x.primary == "b" {
		x.standby = "a"
	}
	x.startClients(4)
	x.events()
	return x
}

// startClients is a paced load that can be asked how each of its clients fares.
func (x *besieged) startClients(n int) {
	x.t.Helper()
	mustExec(x.t, open(x.t, x.o.primary, ""), "CREATE TABLE writes (id BIGINT PRIMARY KEY, client INT NOT NULL, server INT UNSIGNED NOT NULL)")
	ctx, cancel := context.WithCancel(context.Background())
	x.t.Cleanup(func() {
		cancel()
		for _, l := range x.clients {
			l.wg.Wait()
		}
	})
	for c := range n {
		params := "interpolateParams=true"
		if c%2 == 1 {
			params = ""
		}
		pool := open(x.t, x.o.primary, params)
		pool.SetMaxOpenConns(1)
		l := &load{t: x.t, stop: cancel, pace: 20 * time.Millisecond, nextID: int64(c) << 40}
		x.clients = append(x.clients, l)
		l.wg.Go(func() { l.write(ctx, pool, c, c%4 >= 2) })
	}
}

// whole waits until the cluster runs with all servers and nothing is in doubt.
func (x *besieged) whole() {
	x.t.Helper()
	quiet := 0
	x.o.eventually(runsWithin, "the cluster runs with all servers", func() error {
		st := x.o.status()
		quiet++
		fit := st.State == "running" && st.Verdict.Kind == "FINE" && len(st.Away) == 0
		for _, s := range st.Servers {
			fit = fit && s.Healthy && s.Role != "unknown"
		}
		if !fit {
			quiet = 0
			return fmt.Errorf("state %s %q, verdict %s %q, away %+v, servers %+v", st.State, st.Reasons, st.Verdict.Kind, st.Verdict.Evidence, st.Away, st.Servers)
		}
		if quiet < 3 {
			return errors.New("it has only just begun to")
		}
		return nil
	})
}

// goOn waits until each client had a write acknowledged that it began after the moment, and says how long that took.
func (x *besieged) goOn(after time.Time) time.Duration {
	x.t.Helper()
	longest := time.Duration(0)
	for c, l := range x.clients {
		x.o.eventually(time.Until(after.Add(goesOnWithin)), fmt.Sprintf("client %d goes on after the injury", c), func() error {
			l.mu.Lock()
			defer l.mu.Unlock()
			i := len(l.acks)
			for i > 0 && l.acks[i-1].invoked.After(after) {
				i--
			}
			if i == len(l.acks) {
				return errors.New("no acknowledgement")
			}
			longest = max(longest, l.acks[i].told.Sub(after))
			return nil
		})
	}
	return longest
}

// takeErrors counts the errors that the clients got since it was last asked, by number.
func (x *besieged) takeErrors(into map[uint16]int) {
	x.t.Helper()
	for _, l := range x.clients {
		l.mu.Lock()
		for _, err := range l.errs {
			me := (*mysql.MySQLError)(nil)
			if !errors.As(err, &me) || !slices.Contains(toldToClients, me.Number) {
				x.t.Errorf("a client got an error that docs/failover.md does not name: %v", err)
				continue
			}
			into[me.Number]++
		}
		l.errs = nil
		l.mu.Unlock()
	}
}

// journalEvent is what the tests read of an event of the journal.
type journalEvent struct {
	Seq                                            uint64
	At                                             time.Time
	Operation, Kind, Step, State, Primary, Outcome string
	Epoch                                          uint64
	Reasons                                        []string
}

// events gives what the journal got since it was last asked.
func (x *besieged) events() []journalEvent {
	x.t.Helper()
	code, body := x.o.get(fmt.Sprintf("/api/v1/clusters/test/history?limit=10000&since=%d", x.seen))
	var h struct{ Events []journalEvent }
	if err := json.Unmarshal([]byte(body), &h); err != nil || code != http.StatusOK {
		x.t.Fatalf("history: %d %s %v", code, body, err)
	}
	for _, e := range h.Events {
		x.seen = max(x.seen, e.Seq)
	}
	return h.Events
}

// sever does something to the link between onewriter and the primary and heals it later.
func (x *besieged) sever(how func(*faultnet.Link), d time.Duration) error {
	l := x.links[x.primary]
	how(l)
	time.Sleep(d)
	l.Heal()
	return nil
}

func (x *besieged) stall(int) error {
	s := x.server(x.primary)
	s.Pause()
	time.Sleep(1500 * time.Millisecond)
	s.Continue()
	return nil
}

// exhaust takes all connections that the primary allows, in every other round also the one kept for administrators.
func (x *besieged) exhaust(round int) error {
	s := x.server(x.primary)
	admin, err := s.DB().Conn(context.Background()) // the way out
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	var usual int
	if err := admin.QueryRowContext(context.Background(), "SELECT @@global.max_connections").Scan(&usual); err != nil {
		return err
	}
	if _, err := admin.ExecContext(context.Background(), "SET GLOBAL max_connections = 60"); err != nil {
		return err
	}
	accounts := []string{s.DSN(mysqltest.AppUser, mysqltest.AppPassword, "app")}
	if round%2 == 1 {
		accounts = append(accounts, s.DSN("root", mysqltest.RootPassword, ""))
	}
	var release []func() error
	for _, dsn := range accounts {
		taken, takeErr := takeAll(dsn)
		release, err = append(release, taken), errors.Join(err, takeErr)
	}
	if err == nil {
		time.Sleep(injected)
	}
	_, undo := admin.ExecContext(context.Background(), fmt.Sprintf("SET GLOBAL max_connections = %d", usual))
	err = errors.Join(err, undo)
	for _, r := range release {
		err = errors.Join(err, r())
	}
	return err
}

// takeAll logs in until the server has no connection left for the account.
func takeAll(dsn string) (release func() error, err error) {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return func() error { return nil }, err
	}
	for range 80 {
		if _, err := db.Conn(context.Background()); err != nil {
			if me := (*mysql.MySQLError)(nil); !errors.As(err, &me) || me.Number != 1040 {
				return db.Close, fmt.Errorf("fill the server: %w", err)
			}
			return db.Close, nil
		}
	}
	return db.Close, errors.New("the server was never full")
}

// lockOut gives the standby a wrong password for its link and starts that again, before or amid a cut that is longer
// than onewriter waits for a sign of life.
func (x *besieged) lockOut(round int) error {
	l := x.links[x.primary]
	if round%2 == 1 {
		l.Cut()
		time.Sleep(500 * time.Millisecond)
	}
	err := x.relink("wrong")
	if err == nil {
		err = x.lockedOut()
	}
	l.Cut()
	time.Sleep(3500 * time.Millisecond)
	err = errors.Join(err, x.lockedOut())
	l.Heal()
	return errors.Join(err, x.relink(mysqltest.ReplicationPassword))
}

// relink starts the standby's link again with another password.
func (x *besieged) relink(password string) error {
	queries := []string{"STOP SLAVE", "CHANGE MASTER TO MASTER_PASSWORD='" + password + "'", "START SLAVE"}
	if x.server(x.standby).Flavor == mysqltest.MySQL {
		queries = []string{"STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD='" + password + "'", "START REPLICA"}
	}
	for _, q := range queries {
		if _, err := x.server(x.standby).DB().Exec(q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// lockedOut waits until the primary has refused the standby's password.
func (x *besieged) lockedOut() error {
	q := "SHOW SLAVE STATUS"
	if x.server(x.standby).Flavor == mysqltest.MySQL {
		q = "SHOW REPLICA STATUS"
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		row, err := x.server(x.standby).Row(context.Background(), q)
		if err != nil || row["Last_IO_Errno"] == "1045" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the standby's link says %s %q, want 1045", row["Last_IO_Errno"], row["Last_IO_Error"])
		}
	}
}

// lag keeps the standby from applying anything.
func (x *besieged) lag(int) error {
	ctx := context.Background()
	conn, err := x.server(x.standby).DB().Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	const count = "SELECT COUNT(*) FROM app.writes"
	var before, after, ahead int
	if _, err := conn.ExecContext(ctx, "LOCK TABLES app.writes READ"); err != nil {
		return err
	}
	err = conn.QueryRowContext(ctx, count).Scan(&before)
	time.Sleep(injected)
	err = errors.Join(err, conn.QueryRowContext(ctx, count).Scan(&after), x.server(x.primary).DB().QueryRow(count).Scan(&ahead))
	if _, unlock := conn.ExecContext(ctx, "UNLOCK TABLES"); unlock != nil || err != nil {
		return errors.Join(err, unlock)
	}
	if after != before || ahead == after {
		return fmt.Errorf("the standby did not lag: it had %d rows and then %d, the primary had %d", before, after, ahead)
	}
	return nil
}

// outcome is what came of all rounds of one injection.
type outcome struct {
	done, failovers int
	noticed         map[string]int // rounds by verdict
	errors          map[uint16]int // of clients, by number
	clients, runs   []time.Duration
}

// moved lists what shows that the role has moved, or that anything was begun that would move it.
func (x *besieged) moved(events []journalEvent) (what []string) {
	if st := x.o.status(); st.Primary != x.primary || st.Epoch != x.epoch {
		what = append(what, fmt.Sprintf("primary %q in epoch %d, before %q in %d", st.Primary, st.Epoch, x.primary, x.epoch))
	}
	for _, e := range events {
		if strings.HasPrefix(e.Operation, "fo-") || e.Epoch > x.epoch || e.Kind == "begin" {
			what = append(what, fmt.Sprintf("%+v", e))
		}
	}
	return what
}

// inject does one injection and judges what came of it.
func (x *besieged) inject(i injection, round int, out *outcome) {
	x.t.Helper()
	// Heartbeats and probes are periodic: the injury has to meet them in all phases.
	time.Sleep(time.Duration(300+(round*377)%1000) * time.Millisecond)
	defer x.judge(i, round, out) // also when clients or the cluster do not go on
	if err := i.do(x, round); err != nil {
		x.t.Errorf("round %d: %s: %v", round, i.name, err)
	}
	ended := time.Now()
	out.done++
	out.clients = append(out.clients, x.goOn(ended))
	x.whole()
	out.runs = append(out.runs, time.Since(ended))
}

func (x *besieged) judge(i injection, round int, out *outcome) {
	x.t.Helper()
	x.takeErrors(out.errors)
	events := x.events()
	verdicts := map[string]bool{}
	for _, e := range events {
		if e.Kind == "verdict" {
			verdicts[e.Outcome] = true
		}
	}
	for v := range verdicts {
		out.noticed[v]++
	}
	if i.verdict != "" && !verdicts[i.verdict] {
		x.t.Errorf("round %d: %s: the verdict was never %s: %v", round, i.name, i.verdict, verdicts)
	}
	if what := x.moved(events); len(what) > 0 {
		out.failovers++
		_, report := x.o.get("/api/v1/clusters/test/report/last")
		x.t.Errorf("round %d: %s: a false failover:\n%s\n%s", round, i.name, strings.Join(what, "\n"), report)
	}
}

// What only looks like the death of the primary moves nothing, however often it happens; and when the primary does die
// after all that, its role moves.
func TestBarNoFalseFailover(t *testing.T) {
	n := rounds(t)
	eachFlavor(t, func(t *testing.T, f mysqltest.Flavor) {
		x := besiege(t, f)
		outcomes := make([]outcome, len(injections))
		for i := range outcomes {
			outcomes[i].noticed, outcomes[i].errors = map[string]int{}, map[uint16]int{}
		}
		failovers := 0
		defer func() { reportInjections(t, f, outcomes) }()
		for round := range n {
			for i, in := range injections {
				x.inject(in, round, &outcomes[i])
				if failovers += outcomes[i].failovers; failovers > 0 {
					return // the links of a moved cluster do not stand for what they did
				}
			}
		}
		var acks []ack
		for _, l := range x.clients {
			mine, _ := l.end()
			acks = append(acks, mine...)
		}
		x.o.caughtUp(x.pair)
		verify(t, x.pair, acks, []reign{{server: x.ids[x.primary], to: time.Now()}})
		x.server(x.primary).Kill9()
		x.movedFrom(x.primary, 20*time.Second)
		t.Logf("BAR no false failover, %s: %d acknowledged rows, all on both servers and written on %s; its death moved the role", f, len(acks), x.primary)
	})
}

func reportInjections(t *testing.T, f mysqltest.Flavor, outcomes []outcome) {
	total, failovers := 0, 0
	for i, out := range outcomes {
		total, failovers = total+out.done, failovers+out.failovers
		if len(out.runs) == 0 {
			continue
		}
		t.Logf("BAR no false failover, %s, %s: %d failovers in %d, verdicts %v, errors of clients %v", f, injections[i].name, out.failovers, out.done, out.noticed, out.errors)
		report(t, fmt.Sprintf("no false failover, %s, %s: end until all clients go on", f, injections[i].name), out.clients)
		report(t, fmt.Sprintf("no false failover, %s, %s: end until the cluster runs", f, injections[i].name), out.runs)
	}
	t.Logf("BAR no false failover, %s: %d false failovers in %d injections", f, failovers, total)
}
