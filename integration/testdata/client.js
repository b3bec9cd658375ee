// A client on one connection: for each id on a line of standard input it writes a row, reads it back and says "ack ID".
const readline = require('readline');
const mysql = require(process.argv[2] + '/node_modules/mysql2/promise');

async function main() {
  const [host, port, user, password, client] = process.argv.slice(3);
  const db = await mysql.createConnection({ host, port: Number(port), user, password, database: 'app' });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const id = Number(line);
    if (id % 2) {
      await db.execute('INSERT INTO writes (id, client, server) VALUES (?, ?, @@server_id)', [id, Number(client)]);
    } else {
      await db.beginTransaction();
      await db.query('INSERT INTO writes (id, client, server) VALUES (?, ?, 0)', [id, Number(client)]);
      await db.execute('UPDATE writes SET server = @@server_id WHERE id = ?', [id]);
      await db.commit();
    }
    const [rows] = await db.execute('SELECT id FROM writes WHERE id = ?', [id]);
    process.stdout.write('ack ' + rows[0].id + '\n');
  }
  await db.end();
}

main().catch((err) => { console.error(err); process.exit(1); });
