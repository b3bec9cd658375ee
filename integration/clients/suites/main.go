// Command suites starts a pair with onewriter in front of it and runs a program twice, first at the primary directly, then
// through onewriter: other people's test suites, say. Without a program it waits for an interrupt.
//
//	go run ./integration/clients/suites -flavor mysql -onewriter bin/onewriter -- scripts/driver-suite mysql2
//
// The program finds the place in FLAVOR, VIA (direct, proxy), HOST, PORT, DATABASE, USERNAME and PASSWORD. The account has all
// rights. It writes a line "pass NAME" or "fail NAME" per test to the file RESULTS; what fails through onewriter only is an
// error, what fails directly says nothing about onewriter. When it writes none its exit code is compared.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

const account, password, database = "suite", "suite-secret", "suite"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flavor := flag.String("flavor", "mariadb", "mariadb or mysql")
	program := flag.String("onewriter", "bin/onewriter", "the onewriter to run")
	flag.Parse()
	if err := run(ctx, *flavor, *program, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "suites:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, flavor, program string, command []string) (err error) {
	f, err := mysqltest.ParseFlavor(flavor)
	if err != nil {
		return err
	}
	s, err := stand.Start(ctx, stand.Options{Flavor: f, Program: program, Servers: map[string]string{
		"max-allowed-packet": "64M", "local-infile": "1", "max-connections": "1000",
	}})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	direct := s.Pair.Servers[0]
	for _, q := range []string{
		"CREATE DATABASE " + database + " DEFAULT CHARACTER SET utf8mb4", "CREATE DATABASE IF NOT EXISTS test", "CREATE USER '" + account + "'@'%' IDENTIFIED BY '" + password + "'",
		"GRANT ALL ON *.* TO '" + account + "'@'%' WITH GRANT OPTION",
		"SET GLOBAL auto_increment_increment=1, auto_increment_offset=1", // suites expect ids without gaps
		"SET GLOBAL log_bin_trust_function_creators=1",
	} {
		if _, err := direct.DB().ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	if len(command) == 0 {
		fmt.Println("direct", direct.Addr(), "proxy", s.Primary, "admin", s.Admin, "log", s.LogFile())
		<-ctx.Done()
		return nil
	}
	return both(ctx, flavor, direct.Addr(), s.Primary, command)
}

// both runs the command at the two addresses.
func both(ctx context.Context, flavor, direct, proxied string, command []string) error {
	dir, err := os.MkdirTemp("", "onewriter-suites-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var failed [2]error
	var told [2]results
	for i, addr := range []string{direct, proxied} {
		via := []string{"direct", "proxy"}[i]
		file := filepath.Join(dir, via)
		host, port, _ := net.SplitHostPort(addr)
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "FLAVOR="+flavor, "VIA="+via, "HOST="+host, "PORT="+port, "DATABASE="+database, "USERNAME="+account, "PASSWORD="+password, "RESULTS="+file)
		failed[i] = cmd.Run()
		if told[i], err = readResults(file); err != nil {
			return err
		}
		fmt.Printf("== %s: %v, %s\n", via, failed[i], told[i])
		if i == 0 && failed[0] != nil && len(told[0]) == 0 {
			return fmt.Errorf("it fails directly: %w", failed[0])
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(told[0]) > 0 {
		return told[1].against(told[0], reasons(known))
	}
	if failed[0] == nil && failed[1] != nil {
		return fmt.Errorf("it fails through onewriter only: %w", failed[1])
	}
	return nil
}
