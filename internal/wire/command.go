package wire

// Command bytes: the first byte of a client packet in the command phase
// (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html; 0xFA and 0xFE are MariaDB's,
// https://mariadb.com/kb/en/clientserver-protocol/).
const (
	ComSleep            byte = 0x00
	ComQuit             byte = 0x01
	ComInitDB           byte = 0x02
	ComQuery            byte = 0x03
	ComFieldList        byte = 0x04
	ComCreateDB         byte = 0x05
	ComDropDB           byte = 0x06
	ComRefresh          byte = 0x07
	ComShutdown         byte = 0x08
	ComStatistics       byte = 0x09
	ComProcessInfo      byte = 0x0A
	ComConnect          byte = 0x0B
	ComProcessKill      byte = 0x0C
	ComDebug            byte = 0x0D
	ComPing             byte = 0x0E
	ComTime             byte = 0x0F
	ComDelayedInsert    byte = 0x10
	ComChangeUser       byte = 0x11
	ComBinlogDump       byte = 0x12
	ComTableDump        byte = 0x13
	ComConnectOut       byte = 0x14
	ComRegisterSlave    byte = 0x15
	ComStmtPrepare      byte = 0x16
	ComStmtExecute      byte = 0x17
	ComStmtSendLongData byte = 0x18
	ComStmtClose        byte = 0x19
	ComStmtReset        byte = 0x1A
	ComSetOption        byte = 0x1B
	ComStmtFetch        byte = 0x1C
	ComDaemon           byte = 0x1D
	ComBinlogDumpGTID   byte = 0x1E
	ComResetConnection  byte = 0x1F
	ComClone            byte = 0x20
	ComSubscribeGroup   byte = 0x21 // COM_SUBSCRIBE_GROUP_REPLICATION_STREAM of MySQL from 8.0.27 on
	ComStmtBulkExecute  byte = 0xFA
)

var commandNames = map[byte]string{
	ComSleep: "sleep", ComQuit: "quit", ComInitDB: "init_db", ComQuery: "query", ComFieldList: "field_list",
	ComCreateDB: "create_db", ComDropDB: "drop_db", ComRefresh: "refresh", ComShutdown: "shutdown",
	ComStatistics: "statistics", ComProcessInfo: "process_info", ComConnect: "connect", ComProcessKill: "process_kill",
	ComDebug: "debug", ComPing: "ping", ComTime: "time", ComDelayedInsert: "delayed_insert",
	ComChangeUser: "change_user", ComBinlogDump: "binlog_dump", ComTableDump: "table_dump", ComConnectOut: "connect_out",
	ComRegisterSlave: "register_slave", ComStmtPrepare: "stmt_prepare", ComStmtExecute: "stmt_execute",
	ComStmtSendLongData: "stmt_send_long_data", ComStmtClose: "stmt_close", ComStmtReset: "stmt_reset",
	ComSetOption: "set_option", ComStmtFetch: "stmt_fetch", ComDaemon: "daemon", ComBinlogDumpGTID: "binlog_dump_gtid",
	ComResetConnection: "reset_connection", ComClone: "clone", ComSubscribeGroup: "subscribe_group_replication_stream",
	ComStmtBulkExecute: "stmt_bulk_execute",
}

// KnownCommand reports whether c has a name here. The answer to one that has none is taken to be like that of COM_QUERY.
func KnownCommand(c byte) bool {
	_, ok := commandNames[c]
	return ok
}

// CommandName gives the lower-case name of a command byte, which is also its metric label; "unknown" for others.
func CommandName(c byte) string {
	if n, ok := commandNames[c]; ok {
		return n
	}
	return "unknown"
}
