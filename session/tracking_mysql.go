package session

// mysqlTracking names the variables that applications and drivers change. A variable outside the list still raises
// the state-changed report, and its assignment is then taken from the statement's text.
const mysqlTracking = "SET SESSION session_track_schema=1,session_track_state_change=1," +
	"session_track_transaction_info='CHARACTERISTICS',session_track_system_variables='" +
	"autocommit,auto_increment_increment,auto_increment_offset,binlog_format,binlog_row_image,bulk_insert_buffer_size," +
	"character_set_client,character_set_connection,character_set_filesystem,character_set_results,character_set_server," +
	"collation_connection,collation_server,completion_type,cte_max_recursion_depth,default_storage_engine," +
	"default_tmp_storage_engine,default_week_format,div_precision_increment,eq_range_index_dive_limit," +
	"explicit_defaults_for_timestamp,foreign_key_checks,group_concat_max_len,information_schema_stats_expiry," +
	"innodb_lock_wait_timeout,interactive_timeout,join_buffer_size,lc_messages,lc_time_names,lock_wait_timeout," +
	"long_query_time,low_priority_updates,max_error_count,max_execution_time,max_heap_table_size,max_join_size," +
	"max_length_for_sort_data,max_sort_length,min_examined_row_limit,net_read_timeout,net_retry_count," +
	"net_write_timeout,old_alter_table,optimizer_prune_level,optimizer_search_depth,optimizer_switch,profiling," +
	"range_optimizer_max_mem_size,read_buffer_size,read_rnd_buffer_size,sort_buffer_size,sql_auto_is_null," +
	"sql_big_selects,sql_buffer_result,sql_log_bin,sql_log_off,sql_mode,sql_notes,sql_quote_show_create," +
	"sql_require_primary_key,sql_safe_updates,sql_select_limit,sql_warnings,time_zone,tmp_table_size," +
	"transaction_isolation,transaction_read_only,unique_checks,updatable_views_with_limit,wait_timeout'"
