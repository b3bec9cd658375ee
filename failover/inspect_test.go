package failover

import "testing"

func TestFirstWordsHoldNoSecret(t *testing.T) {
	for statement, want := range map[string]string{
		"ALTER TABLE  t\n ADD COLUMN c INT":                                    "ALTER TABLE t ADD COLUMN c INT",
		"ALTER USER app@x IDENTIFIED BY 'secret'":                              "ALTER USER app@x IDENTIFIED BY ...",
		"alter user \"app\" identified by \"secret\"":                          "alter user ...",
		"SET PASSWORD FOR app=PASSWORD('secret')":                              "SET PASSWORD FOR app...",
		"CREATE INDEX i ON t (a, b)":                                           "CREATE INDEX i ON t ...",
		"OPTIMIZE TABLE `a_rather_long_schema`.`and_a_rather_long_table_name`": "OPTIMIZE TABLE `a_rather_long_schema`.`and_a_rather_long_tab...",
	} {
		if got := firstWords(statement); got != want {
			t.Errorf("%s: %q, want %q", statement, got, want)
		}
	}
}
