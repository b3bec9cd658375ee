package flavor

import (
	"context"
	"fmt"
	"slices"
)

// Privileges as MariaDB keeps them in mysql.global_priv (its enum privilege_t).
const (
	superBit           = 1 << 15
	connectionAdminBit = 1 << 32
	readOnlyAdminBit   = 1 << 33
)

// public is the role that everybody has, since MariaDB 10.11.
const public = "PUBLIC"

// roleHolders lists the accounts of a MariaDB that get one of the privileges in mask from a role, directly or through
// other roles, by default or when they ask for it; information_schema.user_privileges does not know them. It is empty
// where the account may not look.
func roleHolders(ctx context.Context, q Querier, mask uint64) ([]account, error) {
	const grants = "SELECT user, host, role FROM mysql.roles_mapping UNION ALL SELECT user, host, '' FROM mysql."
	rs, err := records(ctx, q, grants+fmt.Sprintf("global_priv WHERE host = '' AND CAST(JSON_VALUE(priv, '$.access') AS UNSIGNED) & %d", mask))
	if err != nil && refused(err) { // before 10.4, where SUPER is the only one of them
		rs, err = records(ctx, q, grants+"user WHERE is_role = 'Y' AND super_priv = 'Y'")
	}
	switch {
	case err != nil && refused(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the roles: %w", err)
	}
	holds := rolesThatHold(rs)
	if holds[public] {
		if rs, err = records(ctx, q, "SELECT user, host, '"+public+"' AS role FROM mysql.user WHERE is_role = 'N'"); err != nil {
			return nil, fmt.Errorf("read the accounts: %w", err)
		}
	}
	var out []account
	for _, r := range rs {
		if holds[r.str("role")] && r.str("host") != "" {
			out = append(out, account{user: r.str("user"), host: r.str("host")})
		}
	}
	return out, nil
}

// rolesThatHold follows the grants of roles to roles. A record without a role says that its user is a role that holds
// what is looked for, one without a host that its user is a role.
func rolesThatHold(rs []record) map[string]bool {
	holds := map[string]bool{}
	for more := true; more; {
		more = slices.ContainsFunc(rs, func(r record) bool {
			found := r.str("host") == "" && !holds[r.str("user")] && (r.str("role") == "" || holds[r.str("role")])
			if found {
				holds[r.str("user")] = true
			}
			return found
		})
	}
	return holds
}
