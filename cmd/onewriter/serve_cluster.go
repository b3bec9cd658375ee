package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/coord/local"
	"github.com/onewriter/onewriter/doctor"
	"github.com/onewriter/onewriter/failover"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/failover/watchdog"
	"github.com/onewriter/onewriter/health"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/certs"
	"github.com/onewriter/onewriter/proxy"
	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/topology"
)

// cluster is one cluster of the configuration with all its parts.
type cluster struct {
	config   conf.Cluster
	log      zerolog.Logger
	data     *proxy.Cluster
	control  *failover.Controller
	doctor   *doctor.Doctor
	watchdog *watchdog.Renewer // nil when it is off
	monitor  *health.Monitor
	users    *auth.UserTable
	accounts *accountWatch
	dialer   *backend.Dialer
	state    *local.File
	pools    map[string]*sql.DB // for reading account tables, by server name
}

func newCluster(c *conf.Config, cc conf.Cluster, files *certs.Set, journal *failover.Journal, registry *prometheus.Registry, log zerolog.Logger) (*cluster, error) {
	log = log.With().Str("cluster", cc.Name).Logger()
	cl := &cluster{config: cc, log: log, pools: map[string]*sql.DB{}}
	ok := false
	defer func() {
		if !ok {
			cl.close()
		}
	}()
	servers := instances(cc)
	protect, err := serverTLS(cc.ServerTLS, files)
	if err != nil {
		return nil, err
	}
	connect := controlConnect(cc, protect)
	for _, i := range servers {
		db, err := connect(i)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		db.SetConnMaxIdleTime(30 * time.Second)
		cl.pools[i.Name] = db
	}
	holder := holderName()
	if cl.state, err = local.Open(filepath.Join(c.StateDir, cc.Name+".state"), cc.Name, holder); err != nil {
		return nil, err
	}
	if err := cl.makeData(c, cc, servers, files, protect, registry, log); err != nil {
		return nil, err
	}
	if err := cl.makeEyes(servers, holder, connect, registry); err != nil {
		return nil, err
	}
	if err := cl.makeControl(c, servers, journal, connect, protect); err != nil {
		return nil, err
	}
	ok = true
	return cl, nil
}

// makeEyes makes the parts that look at the servers, and the watchdog in the database.
func (cl *cluster) makeEyes(servers []topology.Instance, holder string, connect func(topology.Instance) (*sql.DB, error), registry *prometheus.Registry) (err error) {
	cc := cl.config
	cl.monitor, err = health.New(health.Config{
		Cluster: cc.Name, Servers: servers, Connect: connect, Interval: cc.Health.Interval, Timeout: cc.Health.Timeout,
		Heartbeat: cc.Health.Heartbeat, Writer: holder, DataPath: cl.data.LastReply, Logger: cl.log.With().Str("part", "health").Logger(),
	})
	if err != nil {
		return err
	}
	cl.doctor, err = doctor.New(doctor.Config{
		Cluster: cc.Name, Servers: servers, Connect: connect, ControlUser: cc.Control.User, Primary: cl.data.Primary, Snapshot: cl.monitor.Snapshot,
		ProxyProtocol: cc.ServerProxyProtocol != conf.ProxyProtocolOff,
		Every:         cc.Doctor.Interval, Ignore: cc.Doctor.Ignore, Automatic: cc.Failover.Mode == conf.FailoverAutomatic,
		Logger: cl.log.With().Str("part", "doctor").Logger(),
	})
	if err != nil {
		return err
	}
	cl.watchdog, err = newWatchdog(cc, holder, connect, registry, cl.log)
	return err
}

// makeControl makes the controller.
func (cl *cluster) makeControl(c *conf.Config, servers []topology.Instance, journal *failover.Journal, connect func(topology.Instance) (*sql.DB, error), protect backend.Config) (err error) {
	cc := cl.config
	path := dataPath{cl.data, cl.watchdog}
	cfg := failover.Config{
		Cluster: cc.Name, Servers: servers, Monitor: cl.monitor, DataPath: path, Lease: cl.state, Store: cl.state,
		Journal: journal, Connect: connect, ControlUser: cc.Control.User,
		Replication: failover.Replication{User: cc.Replication.User, Password: cc.Replication.Password.Reveal(), TLS: encryptsLinks(protect, servers)},
		Limits:      limitsOf(cc.Failover), Policy: policyOf(cc), Detect: detect.Limits{Hang: cc.Detection.HangTimeout, Silence: cc.Detection.ReceiveSilence},
		FenceCommand: fence.Command{Argv: cc.Fencing.Command, Timeout: cc.Fencing.CommandTimeout},
		Findings:     cl.doctor.Blocking, Returned: cl.doctor.Returned, BinlogSource: binlogSource(cc, protect),
		KeepDir: filepath.Join(c.StateDir, "undone", cc.Name), Logger: cl.log.With().Str("part", "failover").Logger(),
	}
	if cl.watchdog != nil {
		cfg.Watchdog, cfg.WatchdogTTL = watchdog.ClosedAfter(cc.Fencing.WatchdogTTL), cc.Fencing.WatchdogTTL
		cfg.WatchdogRenewed, cfg.WatchdogLapsed, cfg.WatchdogDisarm = cl.watchdog.Renewed, cl.watchdog.Lapsed, path.disarm
	}
	cl.control, err = failover.New(cfg)
	return err
}

// leaveCollation is utf8mb4_general_ci, which every server knows.
const leaveCollation = 45

// makeData makes the data path.
func (cl *cluster) makeData(c *conf.Config, cc conf.Cluster, servers []topology.Instance, files *certs.Set, protect backend.Config, registry *prometheus.Registry, log zerolog.Logger) error {
	log = log.With().Str("part", "proxy").Logger()
	protect.Timeout, protect.TCP, protect.Logger = cc.Limits.ConnectTimeout, serverTCP(cc.Limits), log
	protect.Compression = serverCompression(cc.ServerCompression)
	protect.Leave = &backend.LoginParams{User: cc.Control.User, Secret: auth.NewPassword([]byte(cc.Control.Password.Reveal())), Charset: leaveCollation}
	protect.ProxyProtocol = serverProxyProtocol(cc)
	cl.dialer = backend.New(protect)
	cl.users = auth.NewUserTable(auth.UserTableConfig{DB: cl.accountSource, Logger: log})
	cl.accounts = &accountWatch{source: cl.accountSource, log: log}
	explicit := map[string]auth.Secret{}
	for _, u := range cc.Users {
		explicit[u.Name] = auth.NewPassword([]byte(u.Password.Reveal()))
	}
	keys, err := keysOf(cc)
	if err != nil {
		return err
	}
	authenticator, err := auth.New(auth.Config{Users: cl.users, Keys: keys, Explicit: explicit, Logger: log})
	if err != nil {
		return err
	}
	listeners, err := listenersOf(cc, keys, files)
	if err != nil {
		return err
	}
	cl.data, err = proxy.NewCluster(proxy.Config{
		Name: cc.Name, Servers: servers, Authenticator: authenticator, Dialer: cl.dialer, Listeners: listeners,
		HoldTimeout: cc.Limits.HoldTimeout, ConnectTimeout: cc.Limits.ConnectTimeout, HandshakeTimeout: cc.Limits.HandshakeTimeout,
		Limits:      proxyLimits(cc),
		ClientTCP:   clientTCP(cc.Limits),
		ThreadAlive: cl.threadAlive, Version: versionLine(),
		OnLost:  func(server string) { cl.monitor.Kick(server) }, // there is a monitor before there is a session
		Metrics: proxy.NewMetrics(registry, cc.Name), PhaseLabels: c.Admin.Pprof && c.Admin.Address != "", Logger: log,
	})
	return err
}

// accountSource is the server to read accounts from: the primary, else any.
func (cl *cluster) accountSource() *sql.DB {
	if p := cl.data.Primary(); p.Instance.Known() {
		return cl.pools[p.Instance.Name]
	}
	for _, o := range cl.monitor.Snapshot().Servers {
		if o.Class == topology.ClassOK {
			return cl.pools[o.Instance.Name]
		}
	}
	return nil
}

// runControl runs everything but the data path until ctx is done; the controller ends before the probes do.
func (cl *cluster) runControl(ctx context.Context) error {
	probing, stopProbing := context.WithCancel(context.WithoutCancel(ctx))
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer stopProbing()
		if err := cl.control.Run(gctx); err != nil {
			return fmt.Errorf("cluster %s: %w", cl.config.Name, err)
		}
		return nil
	})
	g.Go(func() error { return cl.monitor.Run(probing) })
	g.Go(func() error { return cl.users.Run(gctx) })
	g.Go(func() error { return cl.dialer.Run(gctx) })
	g.Go(func() error { cl.feedRouting(gctx); return nil })
	g.Go(func() error { cl.accounts.Run(gctx); return nil })
	g.Go(func() error { return cl.doctor.Run(gctx) })
	if cl.watchdog != nil {
		g.Go(func() error { cl.keepLease(gctx); return nil })
	}
	return g.Wait()
}

// feedRouting hands what the probes see of the standbys to the data path.
func (cl *cluster) feedRouting(ctx context.Context) {
	snapshots, cancel := cl.monitor.Subscribe()
	defer cancel()
	for {
		select {
		case s := <-snapshots:
			cl.data.Observe(standbysOf(s, cl.data.Primary().Instance.Name, cl.control.Status().Away))
		case <-ctx.Done():
			return
		}
	}
}

func (cl *cluster) close() {
	for _, db := range cl.pools {
		_ = db.Close()
	}
	if cl.state != nil {
		_ = cl.state.Close()
	}
}

// standbysOf judges which servers can serve reads as standby. One that is away may have rows that nobody else has.
func standbysOf(s *topology.Snapshot, primary string, away []failover.AwayServer) []router.Standby {
	out := make([]router.Standby, 0, len(s.Servers))
	for _, o := range s.Servers {
		if o.Instance.Name == primary {
			continue
		}
		st := router.Standby{Instance: o.Instance, Ready: o.Class == topology.ClassOK && o.Facts.ReadOnly && len(o.Facts.Links) > 0}
		for _, a := range away {
			st.Ready = st.Ready && a.Server != o.Instance.Name
		}
		for _, l := range o.Facts.Links {
			st.Ready = st.Ready && l.Running()
			if l.LagKnown {
				st.Lag = max(st.Lag, l.Lag)
			}
		}
		st.Lag = max(st.Lag, o.MeasuredLag)
		out = append(out, st)
	}
	return out
}

func listenersOf(cc conf.Cluster, keys *auth.Keys, files *certs.Set) ([]proxy.ListenerConfig, error) {
	out := make([]proxy.ListenerConfig, 0, len(cc.Listeners))
	for _, l := range cc.Listeners {
		lc := proxy.ListenerConfig{Address: l.Address, MaxConnections: l.MaxConnections, MaxUserConnections: l.MaxUserConnections, RequireTLS: l.TLS.Mode == conf.TLSRequired, NoCompression: !l.Compression}
		lc.ProxyProtocol = proxyProtocolOf(l.ProxyProtocol)
		if l.Route == conf.RouteStandby {
			lc.Policy = router.Policy{Route: router.RouteStandby, MaxLag: l.MaxReplicationLag, Fallback: l.Fallback == conf.FallbackPrimary}
		}
		var err error
		if lc.TLS, err = listenerTLS(l.TLS, keys, files); err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Address, err)
		}
		out = append(out, lc)
	}
	return out, nil
}

// holderName names this process to other deciders.
func holderName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return fmt.Sprintf("%.48s/%d", host, os.Getpid())
}
