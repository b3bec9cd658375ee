package auth

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
)

var errNoServer = errors.New("no server to read the account table from")

// The server's error numbers that tell what an account table is like.
const (
	errDBAccessDenied     = 1044
	errTableAccessDenied  = 1142
	errColumnAccessDenied = 1143
	errUnknownColumn      = 1054
	errUnknownTable       = 1146
)

// maxAccounts bounds what is read, in rows.
const maxAccounts = 1_000_000

// readAccounts reads all accounts, from the first of the tables and shapes that the server has.
func readAccounts(ctx context.Context, db *sql.DB) ([]accountRow, error) {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return nil, fmt.Errorf("reading the account table: %w", err)
	}
	var err error
	for _, source := range accountSources {
		if source.mariaDB && !isMariaDB(version) {
			continue
		}
		var rows []accountRow
		if rows, err = source.read(ctx, db); err == nil {
			return rows, nil
		}
		if !isOtherShape(err) {
			break
		}
	}
	return nil, fmt.Errorf("reading the account table: %w", err)
}

// accountSource is one shape of the account table.
type accountSource struct {
	mariaDB bool
	query   string
	decode  func(row *accountRow, columns [3]sql.NullString) error
}

// accountSources lists the shapes: MariaDB 10.4+, MySQL 8.0.14+, MySQL 5.6 and MariaDB 10.3, which have both columns and use one of them
// for each account, MySQL 5.7 and 8.0.
var accountSources = []accountSource{
	{true, "SELECT User, Host, Priv, NULL, NULL FROM mysql.global_priv ORDER BY User, Host", decodeGlobalPriv},
	{false, "SELECT User, Host, plugin, authentication_string, User_attributes FROM mysql.user ORDER BY User, Host", decodeUser},
	{false, "SELECT User, Host, plugin, IF(Password <> '', Password, authentication_string), NULL FROM mysql.user ORDER BY User, Host", decodeUser},
	{false, "SELECT User, Host, plugin, authentication_string, NULL FROM mysql.user ORDER BY User, Host", decodeUser},
}

func (s accountSource) read(ctx context.Context, db *sql.DB) ([]accountRow, error) {
	rows, err := db.QueryContext(ctx, s.query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var accounts []accountRow
	for rows.Next() && len(accounts) < maxAccounts {
		var row accountRow
		var columns [3]sql.NullString
		if err := rows.Scan(&row.User, &row.Host, &columns[0], &columns[1], &columns[2]); err != nil {
			return nil, err
		}
		if err := s.decode(&row, columns); err != nil {
			// One odd row must not hide the others: its logins are relayed.
			row.Logins, row.Relay = []login{{}}, true
		}
		accounts = append(accounts, row)
	}
	return accounts, rows.Err()
}

// userAttributes is the part that matters of mysql.user.User_attributes.
type userAttributes struct {
	AdditionalPassword string          `json:"additional_password"`
	MultiFactor        json.RawMessage `json:"multi_factor_authentication"`
}

func decodeUser(row *accountRow, columns [3]sql.NullString) error {
	plugin := columns[0].String
	row.Logins = []login{{Plugin: plugin, Hash: columns[1].String}}
	if columns[2].String == "" {
		return nil
	}
	var attributes userAttributes
	if err := json.Unmarshal([]byte(columns[2].String), &attributes); err != nil {
		return fmt.Errorf("attributes of %s@%s: %w", row.User, row.Host, err)
	}
	row.Relay = len(attributes.MultiFactor) > 0
	if attributes.AdditionalPassword != "" {
		row.Logins = append(row.Logins, login{Plugin: plugin, Hash: attributes.AdditionalPassword})
	}
	return nil
}

// globalPriv is the part that matters of mysql.global_priv.Priv. An empty object in auth_or stands for the plugin and
// string at the top.
type globalPriv struct {
	Plugin string       `json:"plugin"`
	Hash   string       `json:"authentication_string"`
	Or     []globalPriv `json:"auth_or"`
	IsRole bool         `json:"is_role"`
}

func decodeGlobalPriv(row *accountRow, columns [3]sql.NullString) error {
	var priv globalPriv
	if err := json.Unmarshal([]byte(columns[0].String), &priv); err != nil {
		return fmt.Errorf("privileges of %s@%s: %w", row.User, row.Host, err)
	}
	if priv.IsRole {
		return nil
	}
	row.Logins = []login{{Plugin: priv.Plugin, Hash: priv.Hash}}
	for _, other := range priv.Or {
		if other.Plugin != "" {
			row.Logins = append(row.Logins, login{Plugin: other.Plugin, Hash: other.Hash})
		}
	}
	return nil
}

func isOtherShape(err error) bool {
	return hasNumber(err, errUnknownColumn, errUnknownTable)
}

func isBarred(err error) bool {
	return hasNumber(err, errDBAccessDenied, errTableAccessDenied, errColumnAccessDenied)
}

func hasNumber(err error, numbers ...uint16) bool {
	var server *mysql.MySQLError
	if !errors.As(err, &server) {
		return false
	}
	for _, n := range numbers {
		if server.Number == n {
			return true
		}
	}
	return false
}

func isMariaDB(version string) bool { return strings.Contains(version, "MariaDB") }
