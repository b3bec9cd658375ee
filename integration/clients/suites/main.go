// Command suites starts a pair with onewriter in front of it and runs a program twice, first at the primary directly, then
// through onewriter: other people's test suites, say. Without a program it waits for an interrupt.
//
//	go run ./integration/clients/suites -flavor mysql -onewriter bin/onewriter -- make test
//
// The program finds the place in VIA (direct, proxy), HOST, PORT, DATABASE, USERNAME and PASSWORD. The account has all rights.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
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
		"CREATE DATABASE " + database, "CREATE USER '" + account + "'@'%' IDENTIFIED BY '" + password + "'",
		"GRANT ALL ON *.* TO '" + account + "'@'%' WITH GRANT OPTION",
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
	return both(ctx, direct.Addr(), s.Primary, command)
}

// both runs the command at the two addresses; what fails directly too says nothing about onewriter.
func both(ctx context.Context, direct, proxied string, command []string) error {
	var failed [2]error
	for i, addr := range []string{direct, proxied} {
		via := []string{"direct", "proxy"}[i]
		host, port, _ := net.SplitHostPort(addr)
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "VIA="+via, "HOST="+host, "PORT="+port, "DATABASE="+database, "USERNAME="+account, "PASSWORD="+password)
		failed[i] = cmd.Run()
		fmt.Printf("== %s: %v\n", via, failed[i])
	}
	if failed[0] == nil && failed[1] != nil {
		return fmt.Errorf("it fails through onewriter only: %w", failed[1])
	}
	return nil
}
