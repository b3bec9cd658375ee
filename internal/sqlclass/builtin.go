package sqlclass

// builtinNames are the names that may stand before a parenthesis in MySQL 5.6 to
// 9.x or MariaDB 10.x to 12.x without being a stored or loadable function: native
// functions that write nothing, types, and words of the grammar. Names that only
// some of these servers have and that a stored function may well bear (distance, nvl,
// to_char) are left out.
// Sources: the function indexes of both manuals and, in a test,
// information_schema.SQL_FUNCTIONS.
const builtinNames = grammarNames + " " + effectFunctionNames + " " + scalarNames + " " +
	stringNames + " " + timeNames + " " + jsonNames + " " + geometryNames + " " + serverNames

const grammarNames = `
all and any as between binary both by case check columns cross cube default distinct
distinctrow div else end escape except exists fields for force from full group grouping
having ignore in index inner intersect interval into is join key keys lateral leading left
like limit lines lock natural match against member minus mod not null of offset on
only or order outer over partition partitions percent procedure recursive
regexp return returning right rlike rollup row rows select separator set some
sounds sql_big_result sql_buffer_result sql_cache sql_calc_found_rows sql_no_cache
sql_small_result straight_join table then trailing union update use using value values
when where window with xor array fetch
bigint bit blob bool boolean char character clob date datetime dec decimal double enum fixed float float4
float8 geometry inet4 inet6 int int1 int2 int3 int4 int8 integer json long longblob longtext
mediumblob mediumint mediumtext middleint national nchar numeric nvarchar precision
real serial signed smallint text time timestamp tinyblob tinyint tinytext unsigned uuid
varbinary varchar varchar2 varcharacter vector year xmltype`

const effectFunctionNames = `
get_lock release_lock release_all_locks is_free_lock is_used_lock connection_id found_rows
row_count last_insert_id nextval setval lastval service_get_read_locks
service_get_write_locks service_release_locks version_tokens_lock_shared
version_tokens_lock_exclusive version_tokens_unlock`

const scalarNames = `
abs acos asin atan atan2 avg bit_and bit_count bit_or bit_xor ceil ceiling coalesce conv
cos cot count crc32 crc32c cume_dist degrees dense_rank exp first_value floor greatest
group_concat if ifnull isnull lag last_value lead least ln log log10 log2 max min
nth_value ntile nullif oct percent_rank percentile_cont percentile_disc pi pow
power radians rand rank round row_number sign sin sqrt std stddev stddev_pop stddev_samp
sum tan truncate any_value var_pop var_samp variance cast convert
vec_distance vec_distance_cosine vec_distance_euclidean vec_fromtext vec_totext
vector_dim string_to_vector vector_to_string to_vector from_vector`

const stringNames = `
aes_decrypt aes_encrypt ascii bin bin_to_uuid bit_length char_length character_length
collation charset coercibility compress concat concat_ws
des_decrypt des_encrypt elt encrypt export_set extractvalue field find_in_set
format format_bytes format_pico_time from_base64 hex insert instr is_ipv4 is_ipv4_compat
is_ipv4_mapped is_ipv6 is_uuid kdf inet6_aton inet6_ntoa inet_aton inet_ntoa lcase length load_file locate
lower lpad ltrim make_set md5 mid natural_sort_key octet_length old_password ord
position quote random_bytes regexp_instr regexp_like regexp_replace
regexp_substr repeat replace replace_oracle reverse rpad rtrim sformat sha sha1 sha2 soundex
space statement_digest statement_digest_text strcmp substr substr_oracle substring
substring_index to_base64 trim trim_oracle ucase uncompress
uncompressed_length unhex updatexml upper uuid_short uuid_to_bin uuid_v4 uuid_v7
validate_password_strength weight_string lpad_oracle rpad_oracle ltrim_oracle
rtrim_oracle length_oracle`

const timeNames = `
adddate addtime convert_tz curdate current_date current_time
current_timestamp curtime date_add date_format date_sub datediff day dayname dayofmonth
dayofweek dayofyear extract from_days from_unixtime get_format hour last_day localtime
localtimestamp makedate maketime microsecond minute month monthname now
period_add period_diff quarter sec_to_time second str_to_date subdate subtime sysdate
time_format time_to_sec timediff timestampadd timestampdiff to_days to_seconds
unix_timestamp utc_date utc_time utc_timestamp week weekday weekofyear yearweek`

const jsonNames = `
column_add column_check column_create column_delete column_exists column_get column_json
column_list json_array json_array_append json_array_insert json_array_intersect
json_arrayagg json_compact json_contains json_contains_path json_depth json_detailed
json_equals json_exists json_extract json_insert json_key_value json_keys json_length
json_loose json_merge json_merge_patch json_merge_preserve json_normalize json_object
json_object_filter_keys json_object_to_array json_objectagg json_overlaps json_pretty
json_query json_quote json_remove json_replace json_schema_valid
json_schema_validation_report json_search json_set json_storage_free json_storage_size
json_table json_type json_unquote json_unwrap json_valid json_value json_duality_object`

const geometryNames = `
asbinary astext aswkb aswkt convexhull
endpoint exteriorring geohash geomcollection
geomcollfromtext geomcollfromwkb geometrycollection geometrycollectionfromtext
geometrycollectionfromwkb geometryfromtext geometryfromwkb geometryn geometrytype
geomfromtext geomfromwkb glength interiorringn isclosed isempty isring issimple
linefromtext linefromwkb linestring linestringfromtext linestringfromwkb mbrcontains
mbrcoveredby mbrcovers mbrdisjoint mbrequal mbrequals mbrintersects mbroverlaps mbrtouches
mbrwithin mlinefromtext mlinefromwkb mpointfromtext mpointfromwkb mpolyfromtext
mpolyfromwkb multilinestring multilinestringfromtext multilinestringfromwkb multipoint
multipointfromtext multipointfromwkb multipolygon multipolygonfromtext
multipolygonfromwkb numgeometries numinteriorrings numpoints point pointfromtext
pointfromwkb pointn pointonsurface polyfromtext polyfromwkb polygon polygonfromtext
polygonfromwkb srid st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt
st_boundary st_buffer st_buffer_strategy st_centroid st_collect st_contains st_convexhull
st_crosses st_difference st_dimension st_disjoint st_distance st_distance_sphere
st_endpoint st_envelope st_equals st_exteriorring st_frechetdistance st_geohash
st_geomcollfromtext st_geomcollfromtxt st_geomcollfromwkb st_geometrycollectionfromtext
st_geometrycollectionfromwkb st_geometryfromtext st_geometryfromwkb st_geometryn
st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb st_hausdorffdistance
st_interiorringn st_intersection st_intersects st_isclosed st_isempty st_isring
st_issimple st_isvalid st_latfromgeohash st_latitude st_length st_linefromtext
st_linefromwkb st_lineinterpolatepoint st_lineinterpolatepoints st_linestringfromtext
st_linestringfromwkb st_longfromgeohash st_longitude st_makeenvelope st_mlinefromtext
st_mlinefromwkb st_mpointfromtext st_mpointfromwkb st_mpolyfromtext st_mpolyfromwkb
st_multilinestringfromtext st_multilinestringfromwkb st_multipointfromtext
st_multipointfromwkb st_multipolygonfromtext st_multipolygonfromwkb st_numgeometries
st_numinteriorring st_numinteriorrings st_numpoints st_overlaps st_pointatdistance
st_pointfromgeohash st_pointfromtext st_pointfromwkb st_pointn st_pointonsurface
st_polyfromtext st_polyfromwkb st_polygonfromtext st_polygonfromwkb st_relate st_simplify
st_srid st_startpoint st_swapxy st_symdifference st_touches st_transform st_union
st_validate st_within st_x st_y startpoint`

const serverNames = `
benchmark binlog_gtid_pos current_role current_user database default gtid_subset
gtid_subtract icu_version master_gtid_wait master_pos_wait name_const ps_current_thread_id
ps_thread_id roles_graphml schema session_user sleep source_pos_wait system_user user
version wait_for_executed_gtid_set wait_until_sql_thread_after_gtids wsrep_last_seen_gtid
wsrep_last_written_gtid wsrep_sync_wait_upto_gtid last_value`
