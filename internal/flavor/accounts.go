package flavor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// account is user@host.
type account struct{ user, host string }

// String gives user@host.
func (a account) String() string { return a.user + "@" + a.host }

// local reports whether a is for logins from the server's own machine.
func (a account) local(hostname string) bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1", hostname}, a.host)
}

// systemUsers belong to the servers themselves or to the distribution.
var systemUsers = []string{"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "debian-sys-maint", "mysql"}

// PrivilegedAccounts implements Attendant.
func (*mysql) PrivilegedAccounts(ctx context.Context, q Querier) ([]string, error) {
	return privilegedAccounts(ctx, q, nil)
}

// PrivilegedAccounts implements Attendant.
func (*mariadb) PrivilegedAccounts(ctx context.Context, q Querier) ([]string, error) {
	byRole, err := roleHolders(ctx, q, superBit|readOnlyAdminBit|connectionAdminBit)
	if err != nil {
		return nil, err
	}
	return privilegedAccounts(ctx, q, byRole)
}

// privilegedAccounts lists the accounts that hold such a privilege themselves, and those by role.
func privilegedAccounts(ctx context.Context, q Querier, byRole []account) ([]string, error) {
	var me, hostname string
	if err := q.QueryRowContext(ctx, "SELECT CURRENT_USER(), @@hostname").Scan(&me, &hostname); err != nil {
		return nil, fmt.Errorf("read the own account: %w", err)
	}
	accounts, err := privilegedGrantees(ctx, q,
		"'SUPER', 'READ_ONLY ADMIN', 'READ ONLY ADMIN', 'CONNECTION ADMIN', 'CONNECTION_ADMIN'")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range append(accounts, byRole...) {
		system := slices.Contains(systemUsers, a.user) || a.user == "root" && a.local(hostname)
		if !system && a.String() != me && !slices.Contains(out, a.String()) {
			out = append(out, a.String())
		}
	}
	slices.Sort(out)
	return out, nil
}

// privilegedGrantees lists the accounts with one of the privileges; an account that may not look sees itself only.
func privilegedGrantees(ctx context.Context, q Querier, privileges string) ([]account, error) {
	rs, err := records(ctx, q, `SELECT DISTINCT grantee AS grantee FROM information_schema.user_privileges
WHERE privilege_type IN (`+privileges+`)`)
	if err != nil {
		return nil, fmt.Errorf("read the privileges: %w", err)
	}
	out := make([]account, 0, len(rs))
	for _, r := range rs {
		out = append(out, parseGrantee(r.str("grantee")))
	}
	return out, nil
}

// parseGrantee reads 'user'@'host' as information_schema prints it.
func parseGrantee(s string) account {
	i := strings.LastIndex(s, "@")
	if i < 0 {
		return account{user: unquote(s)}
	}
	return account{user: unquote(s[:i]), host: unquote(s[i+1:])}
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	return s
}
