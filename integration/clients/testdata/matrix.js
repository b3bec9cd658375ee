// What an application does with mysql2 or mariadb, and everything that it gets to see, on standard output.
//   node matrix.js modules mysql2|mariadb host port user password plain|tls directory
// It prints "move" where the primary role may move, and goes on with the next line of standard input.
const crypto = require('crypto'), fs = require('fs'), path = require('path'), readline = require('readline');
const [modules, name, host, port, user, password, mode, directory] = process.argv.slice(2);
const isMariadb = name === 'mariadb';
const driver = require('module').createRequire(path.join(modules, 'x.js'))(isMariadb ? 'mariadb' : 'mysql2/promise');

const show = (v) => JSON.stringify(v, (_, x) => (typeof x === 'bigint' ? x + 'n' : x && x.type === 'Buffer' ? 'hex:' + Buffer.from(x.data).toString('hex') : x));
const say = (...v) => console.log(v.map((x) => (typeof x === 'string' ? x : show(x))).join(' '));
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const connect = (tls, compress = false) => driver.createConnection({
  host, port: Number(port), user, password, database: 'app', timezone: 'Z', multipleStatements: true, compress,
  ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
  ...(isMariadb ? { permitLocalInfile: true, allowPublicKeyRetrieval: true, bigIntAsNumber: false } : { supportBigNumbers: true, bigNumberStrings: true, infileStreamFactory: (p) => fs.createReadStream(p) }),
});
const rows = (r) => (isMariadb ? r : r[0]);
const meta = (r) => { const { affectedRows, insertId, warningStatus } = rows(r); return { affectedRows, insertId, warningStatus }; };
const fails = async (what, promise) => promise.then(() => say(what, 'succeeded'), (e) => say(what, { errno: e.errno, sqlState: e.sqlState, sqlMessage: e.sqlMessage }));

async function main() {
  const db = await connect(mode === 'tls');
  const query = async (...a) => rows(await db.query(...a)), execute = async (...a) => rows(await db.execute(...a));
  if (isMariadb) say('schema', db.info.database);
  for (const q of ['DROP TABLE IF EXISTS t, rows_, blobs, infile_, auto', 'DROP PROCEDURE IF EXISTS several',
    "CREATE TABLE t (id INT PRIMARY KEY, i8 TINYINT, u64 BIGINT UNSIGNED, d DECIMAL(30,10), f DOUBLE, dt DATETIME(3), ts TIMESTAMP(3) NULL, da DATE, ti TIME(6), y YEAR, " +
    "v VARCHAR(200), b VARBINARY(50), tx LONGTEXT, e ENUM('x','y'), s SET('a','b','c'), bi BIT(12), j JSON, n INT) DEFAULT CHARSET=utf8mb4"]) await db.query(q);
  const row = [1, -128, '18446744073709551615', '-12345678901234567890.0123456789', 1.5e300, new Date(Date.UTC(2024, 1, 29, 12, 34, 56, 789)), '2024-02-29 01:02:03.4',
    '1999-12-31', '-838:59:00', 2155, 'Ünï€😀\'"\\', Buffer.from([0, 1, 255, 39, 92]), 'x'.repeat(70000), 'y', 'a,c', Buffer.from([0x0a, 0xbc]), '{"k": [1, null, "v"]}', null];
  const marks = row.map(() => '?').join(',');
  say('text insert', meta(await db.query(`INSERT INTO t VALUES (${marks})`, row)));
  row[0] = 2;
  say('binary insert', meta(await db.execute(`INSERT INTO t VALUES (${marks})`, row)));
  say('text', await query('SELECT * FROM t ORDER BY id'));
  say('binary', await execute('SELECT * FROM t WHERE id > ? ORDER BY id', [0]));
  for (let i = 0; i < 3; i++) say('again', await execute('SELECT ? + 1 AS n, CONCAT(?, ?) AS s', [i, 'a', 'b']));
  await db.query('CREATE TABLE auto (id INT PRIMARY KEY AUTO_INCREMENT, v INT) AUTO_INCREMENT=1001');
  say('info', meta(await db.query('UPDATE t SET i8=7')), meta(await db.query('INSERT IGNORE INTO t (id, i8) VALUES (3, 1000)')), await query('SHOW WARNINGS'));
  if (isMariadb) say('bulk', (await db.batch('INSERT INTO auto (v) VALUES (?)', [[1], [2], [null], [4]])).affectedRows, await query('SELECT v FROM auto ORDER BY id'));

  const blob = Buffer.concat(Array(20 << 4).fill(crypto.randomBytes(1 << 16)));
  await db.query('CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB)');
  await db.query('INSERT INTO blobs VALUES (?, ?)', [1, blob]);
  await db.execute('INSERT INTO blobs VALUES (?, ?)', [2, blob]);
  for (const r of await query('SELECT b FROM blobs WHERE id=1')) say('text blob', r.b.equals(blob));
  for (const r of await execute('SELECT b FROM blobs WHERE id=?', [2])) say('binary blob', r.b.equals(blob));

  await db.query('CREATE TABLE rows_ (id INT PRIMARY KEY, v VARCHAR(300))');
  for (let at = 0; at < 20000; at += 5000) {
    const values = Array.from({ length: 5000 }, (_, i) => `(${at + i},'${'v'.repeat(i % 300)}')`);
    await db.query('INSERT INTO rows_ VALUES ' + values.join(','));
  }
  let n = 0;
  const h = crypto.createHash('md5');
  const stream = isMariadb ? db.queryStream('SELECT id, v FROM rows_ ORDER BY id') : db.connection.query('SELECT id, v FROM rows_ ORDER BY id').stream();
  for await (const r of stream) { n++; h.update(show(r)); }
  say('streamed', n, h.digest('hex'));

  await db.query('CREATE PROCEDURE several(IN n INT, INOUT x VARCHAR(50), OUT total INT) BEGIN SELECT n; SELECT n+1 AS m UNION SELECT n+2; ' +
    "SET x = CONCAT(x, ' out'); SET total = (SELECT COUNT(*) FROM rows_); END");
  await db.query("SET @x='in'");
  const trim = (list) => list.map((r) => (Array.isArray(r) ? r : { affectedRows: r.affectedRows }));
  say('text call', trim(await query('CALL several(5, @x, @total)')), await query('SELECT @x, @total'));
  say('binary call', trim(await execute('CALL several(?, @x, @total)', [6])), await query('SELECT @x, @total'));
  if (isMariadb) say('OUT', trim(await execute('CALL several(?, ?, ?)', [7, 'in', null])));
  say('several', trim(await query("SELECT 1 AS a; UPDATE t SET i8=1; SELECT 'b' AS b; DO 1")));
  await fails('error amid several', db.query('SELECT 1; SELECT * FROM nowhere; SELECT 2'));

  const file = path.join(directory, name + '.txt');
  fs.writeFileSync(file, Array.from({ length: 50000 }, (_, i) => `${i}\tline ${i}\n`).join(''));
  await db.query('CREATE TABLE infile_ (id INT PRIMARY KEY, v VARCHAR(50))');
  say('infile', meta(await db.query(`LOAD DATA LOCAL INFILE '${file}' INTO TABLE infile_`)));
  await fails('infile to nowhere', db.query(`LOAD DATA LOCAL INFILE '${file}' INTO TABLE nowhere`));
  say('loaded', await query('SELECT COUNT(*) AS n, MAX(v) AS m FROM infile_'));

  for (const [what, q] of [['syntax', 'SELEC 1'], ['no table', 'SELECT * FROM nowhere'], ['duplicate', 'INSERT INTO t (id) VALUES (1)'], ['no rights', 'DROP DATABASE mysql']]) {
    await fails(what, db.query(q));
    await fails('prepared ' + what, db.execute(q));
  }
  await db.beginTransaction();
  await db.query('INSERT INTO t (id) VALUES (100)');
  await db.rollback();
  await db.beginTransaction();
  await db.execute('INSERT INTO t (id) VALUES (?)', [101]);
  await db.commit();
  say('transactions', await query('SELECT id FROM t WHERE id >= 100'));

  const fresh = await connect(mode === 'tls', mode === 'tls'); // @x pins the other one
  await fresh.query("SET time_zone='+03:00', sql_mode='ANSI_QUOTES', group_concat_max_len=4321");
  for (let i = 0; i < 2; i++) {
    await fresh.execute('SELECT id FROM t WHERE id=?', [1]);
    say('move');
    await lines.next();
    say('state', rows(await fresh.query("SELECT @@time_zone, @@sql_mode, @@group_concat_max_len, @@autocommit, DATABASE(), CHARSET('x')")));
    say('after', rows(await fresh.execute('SELECT id FROM t WHERE id=?', [1])), meta(await fresh.execute('INSERT INTO t (id) VALUES (?)', [200 + i])));
  }
  await fresh.changeUser({ user, password, database: 'app' }).catch((e) => { if (e.errno !== 45003) throw e; }); // mariadb does not do it on MySQL
  say('changed user', rows(await fresh.query('SELECT @@sql_mode <> \'ANSI_QUOTES\' AS reset, DATABASE() AS db')));
  if (isMariadb) await fresh.reset();

  const other = await connect(false);
  const own = rows(await fresh.query('SELECT CONNECTION_ID() AS id'))[0].id;
  setTimeout(() => other.query('KILL QUERY ' + own), 300);
  const began = Date.now();
  await fresh.query('SELECT COUNT(*) FROM rows_ a, rows_ b WHERE a.v <> b.v').then(() => say('not killed'), (e) => say('killed', e.errno, Date.now() - began < 20000));
  say('then', rows(await fresh.query("SELECT 'alive' AS a")));
  await fresh.ping();
  (isMariadb ? fresh : fresh.connection).on('error', () => {});
  await other.query('KILL ' + rows(await fresh.query('SELECT CONNECTION_ID() AS id'))[0].id);
  await fresh.query('SELECT 1').then(() => say('not lost'), () => say('lost'));
  fresh.destroy();
  if (!isMariadb) { // idle connections of a pool, killed as mysql2's own tests do it
    const pool = driver.createPool({ host, port: Number(port), user, password, database: 'app' });
    const taken = [await pool.getConnection(), await pool.getConnection(), await pool.getConnection()];
    const ids = taken.map((c) => c.threadId);
    taken.forEach((c) => c.release());
    for (const id of ids.slice(1)) {
      const before = pool.pool._allConnections.length;
      say('kill and sleep', rows(await other.query('kill ?; select sleep(0.05)', [id]))[1]);
      for (let i = 0; i < 400 && pool.pool._allConnections.length === before; i++) await new Promise((r) => setTimeout(r, 50));
      say('left in the pool', pool.pool._allConnections.length);
    }
    await pool.end();
  }
  await other.end();
  await db.end().catch(() => db.destroy());
  const again = await connect(false);
  say('again', rows(await again.query('SELECT COUNT(*) AS n FROM t')));
  await again.end();
  say('done');
  process.exit(0);
}

main().catch((err) => { console.error(err); process.exit(1); });
