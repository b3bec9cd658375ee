package session

import (
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

func TestLoginCollation(t *testing.T) {
	for name, c := range map[string]struct {
		flavor    Flavor
		collation uint16
		schema    string // as the server reports it; "" is none
		want      byte
		sql       string
	}{
		"ordinary":                     {MySQL, 255, "", 255, ""},
		"latin1":                       {MariaDB, 8, "app", 8, ""},
		"latin1, schema, MariaDB":      {MariaDB, 47, "café", 45, "SET SESSION character_set_client=latin1,SESSION character_set_results=latin1,SESSION collation_connection=47"},
		"latin1, schema, MySQL":        {MySQL, 47, "café", 45, "SET SESSION character_set_client=47,SESSION character_set_results=47,SESSION collation_connection=47"},
		"utf8mb3, schema":              {MariaDB, 33, "café", 33, ""},
		"none that logs in, schema":    {MySQL, 35, "café", 35, ""},
		"above 255, MySQL":             {MySQL, 309, "", 45, "SET SESSION character_set_client=309,SESSION character_set_results=309,SESSION collation_connection=309"},
		"without padding, MariaDB":     {MariaDB, 1052, "", 45, "SET SESSION character_set_client=gbk,SESSION character_set_results=gbk,SESSION collation_connection=1052"},
		"Unicode 14, utf8mb3, MariaDB": {MariaDB, 2048, "", 45, "SET SESSION character_set_client=utf8mb3,SESSION character_set_results=utf8mb3,SESSION collation_connection=2048"},
	} {
		core := New(Config{Flavor: c.flavor, Collation: c.collation, Server: wire.ClientSessionTrack})
		core.ledger.schema, core.ledger.schemaUTF8 = c.schema, c.schema != ""
		core.Attach()
		if got, sql := core.LoginCollation(), core.loginSQL(); got != c.want || sql != c.sql {
			t.Errorf("%s: %d, %q; want %d, %q", name, got, sql, c.want, c.sql)
		}
	}
}
