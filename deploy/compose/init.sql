-- Run by the image on each server's first start, with the binary log off, so that both servers begin equal.
SET SESSION sql_log_bin = 0;
CREATE DATABASE IF NOT EXISTS app;
-- The application: everything on its own schema, nothing that could write on a read-only server.
CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'app-secret';
GRANT ALL PRIVILEGES ON app.* TO 'app'@'%';
-- Replication.
CREATE USER IF NOT EXISTS 'repl'@'%' IDENTIFIED BY 'repl-secret';
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';
-- Onewriter's own account: what `onewriter setup --print` shows.
CREATE USER IF NOT EXISTS 'onewriter'@'%' IDENTIFIED BY 'onewriter-secret';
GRANT PROCESS, RELOAD, READ_ONLY ADMIN, CONNECTION ADMIN, REPLICA MONITOR, BINLOG MONITOR, BINLOG ADMIN, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, REPLICATION SLAVE ON *.* TO 'onewriter'@'%';
GRANT SELECT ON mysql.* TO 'onewriter'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, EVENT, TRIGGER ON onewriter.* TO 'onewriter'@'%';
SET SESSION sql_log_bin = 1;
