# A client on one connection: for each id on a line of standard input it writes a row, reads it back and says "ack ID".
import sys
import pymysql

host, port, user, password, client = sys.argv[1:6]
db = pymysql.connect(host=host, port=int(port), user=user, password=password, database="app", autocommit=True)
for line in sys.stdin:
    row = int(line)
    with db.cursor() as c:
        if row % 2:
            c.execute("INSERT INTO writes (id, client, server) VALUES (%s, %s, @@server_id)", (row, client))
        else:
            db.begin()
            c.execute("INSERT INTO writes (id, client, server) VALUES (%s, %s, 0)", (row, client))
            c.execute("UPDATE writes SET server = @@server_id WHERE id = %s", (row,))
            db.commit()
        c.execute("SELECT id FROM writes WHERE id = %s", (row,))
        print("ack", c.fetchone()[0], flush=True)
