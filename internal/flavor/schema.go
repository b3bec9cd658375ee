package flavor

// Schema is the name of the schema that Onewriter keeps on the servers.
const Schema = "onewriter"

// SchemaSQL gives the statements that create the schema and its tables. They can be repeated. They want to run on
// the primary and be replicated. All times are UTC.
func SchemaSQL() []string {
	return []string{
		"CREATE DATABASE IF NOT EXISTS " + Schema,
		`CREATE TABLE IF NOT EXISTS ` + Schema + `.heartbeat (
  server_id INT UNSIGNED NOT NULL COMMENT 'server the row was written on',
  ts DATETIME(6) NOT NULL COMMENT 'its clock, UTC',
  writer VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'proxy that wrote it',
  beat BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'counter of that proxy',
  PRIMARY KEY (server_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
		`CREATE TABLE IF NOT EXISTS ` + Schema + `.epoch (
  epoch BIGINT UNSIGNED NOT NULL COMMENT 'grows with every new primary',
  primary_name VARCHAR(255) NOT NULL,
  server_id INT UNSIGNED NOT NULL,
  decided_at DATETIME(6) NOT NULL COMMENT 'UTC',
  decider VARCHAR(255) NOT NULL,
  PRIMARY KEY (epoch)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
	}
}
