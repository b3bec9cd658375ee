package rewind

import "testing"

func TestRepeatable(t *testing.T) {
	for statement, want := range map[string]bool{
		"CREATE DATABASE IF NOT EXISTS onewriter":                                                    true,
		"CREATE DATABASE IF NOT EXISTS `onewriter`":                                                  true,
		"CREATE TABLE IF NOT EXISTS onewriter.lease (\n  server_id INT)":                             true,
		"create table if not exists `onewriter`.`lease` (id int)":                                    true,
		"CREATE DEFINER=`root`@`localhost` EVENT IF NOT EXISTS onewriter.watchdog ON SCHEDULE":       true,
		"ALTER DEFINER=`o`@`%` EVENT `onewriter`.`watchdog` ON SCHEDULE EVERY 1 SECOND DO BEGIN END": true,
		"ALTER EVENT onewriter.watchdog ON SCHEDULE EVERY 1 SECOND":                                  true,

		"CREATE TABLE onewriter.lease (id INT)":                              false,
		"CREATE TABLE IF NOT EXISTS app.onewriter (id INT)":                  false,
		"CREATE TABLE IF NOT EXISTS onewriter_app.t (id INT)":                false,
		"CREATE TABLE IF NOT EXISTS lease (id INT)":                          false,
		"CREATE DATABASE IF NOT EXISTS onewriter2":                           false,
		"CREATE EVENT onewriter.watchdog ON SCHEDULE EVERY 1 SECOND":         false,
		"DROP TABLE IF EXISTS onewriter.lease, app.orders":                   false,
		"INSERT INTO app.t SELECT 'CREATE DATABASE IF NOT EXISTS onewriter'": false,
	} {
		if got := repeatable(statement); got != want {
			t.Errorf("%q: %t", statement, got)
		}
	}
}
