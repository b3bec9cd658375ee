# What an application does with PyMySQL or MySQLdb, and everything that it gets to see, on standard output.
#   matrix.py pymysql|MySQLdb host port user password plain|tls directory
# It prints "move" where the primary role may move, and goes on with the next line of standard input.
import datetime, decimal, hashlib, importlib, os, sys, threading, time

module, host, port, user, password, mode, directory = sys.argv[1:8]
driver = importlib.import_module(module)
cursors = importlib.import_module(module + ".cursors")


def connect(tls=False, **more):
    if module == "pymysql":
        more.update(ssl={"check_hostname": False} if tls else None, ssl_disabled=not tls)
    elif tls:
        more["ssl"] = {"cipher": "DEFAULT"}
    return driver.connect(host=host, port=int(port), user=user, passwd=password, db="app", charset="utf8mb4", local_infile=1, **more)


def say(what, *values):
    print(what, *[repr(v) for v in values], flush=True)


def fails(c, what, sql, *args):
    try:
        c.execute(sql, *args)
        say(what, "succeeded")
    except driver.Error as e:
        say(what, type(e).__name__, e.args)


db = connect(mode == "tls")
c = db.cursor()
c.execute("SHOW STATUS LIKE 'Ssl_cipher'")
if module == "MySQLdb":
    c.execute("SET NAMES utf8mb4")

c.execute("DROP TABLE IF EXISTS t, rows_, blobs, infile_")
c.execute("DROP PROCEDURE IF EXISTS several")
c.execute("CREATE TABLE t (id INT PRIMARY KEY, i8 TINYINT, u64 BIGINT UNSIGNED, d DECIMAL(30,10), f DOUBLE, dt DATETIME(6), ts TIMESTAMP(3) NULL,"
          " da DATE, ti TIME(6), y YEAR, v VARCHAR(200), b VARBINARY(50), tx LONGTEXT, e ENUM('x','y'), s SET('a','b','c'), bi BIT(12), j JSON, n INT)"
          " DEFAULT CHARSET=utf8mb4")
row = (1, -128, 2**64 - 1, decimal.Decimal("-12345678901234567890.0123456789"), 1.5e300, datetime.datetime(2024, 2, 29, 12, 34, 56, 789012),
       datetime.datetime(2024, 2, 29, 1, 2, 3, 400000), datetime.date(1999, 12, 31), datetime.timedelta(hours=100, minutes=59), 2155, "Ünï€😀'\"\\",
       b"\x00\x01\xff'\\", "x" * 70000, "y", "a,c", b"\x0a\xbc", '{"k": [1, null, "v"]}', None)
say("insert", c.execute("INSERT INTO t VALUES (" + ",".join(["%s"] * len(row)) + ")", row), c.rowcount)
c.execute("INSERT INTO t (id) VALUES (2), (3)")
say("several rows", c.rowcount)
db.commit()
c.execute("SELECT * FROM t ORDER BY id")
say("types", [d[:2] for d in c.description], *c.fetchall())
say("update", c.execute("UPDATE t SET i8=7 WHERE id>1"), c.execute("UPDATE t SET i8=7 WHERE id>1"))
say("warning", c.execute("INSERT IGNORE INTO t (id, i8) VALUES (4, 1000)"))
c.execute("SHOW WARNINGS")
say("warnings", c.fetchall())

blob = os.urandom(1 << 16) * (20 << 4)
c.execute("CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB)")
c.execute("INSERT INTO blobs VALUES (1, %s)", (blob,))
c.execute("SELECT b, LENGTH(b) FROM blobs")
back, n = c.fetchone()
say("blob", back == blob, n)

c.execute("CREATE TABLE rows_ (id INT PRIMARY KEY, v VARCHAR(300))")
say("many", c.executemany("INSERT INTO rows_ VALUES (%s, %s)", [(i, "v" * (i % 300)) for i in range(20000)]))
db.commit()
ss = db.cursor(cursors.SSCursor)
ss.execute("SELECT id, v FROM rows_ ORDER BY id")
count, h = 0, hashlib.md5()
for r in ss:
    count += 1
    h.update(repr(r).encode())
say("streamed", count, h.hexdigest())
ss.execute("SELECT id, v FROM rows_ ORDER BY id")
say("some", ss.fetchmany(2))
ss.close()  # reads the rest

c.execute("CREATE PROCEDURE several(IN n INT, INOUT x VARCHAR(50), OUT total INT) BEGIN SELECT n; SELECT n+1 UNION SELECT n+2;"
          " SET x = CONCAT(x, ' out'); SET total = (SELECT COUNT(*) FROM rows_); END")
say("call", c.callproc("several", (5, "in", 0)))
while True:
    if c.description:
        say("result", c.fetchall())
    if not c.nextset():
        break
c.execute("SELECT @_several_0, @_several_1, @_several_2")
say("out", c.fetchall())

path = os.path.join(directory, module + ".txt")
with open(path, "w") as f:
    for i in range(50000):
        f.write("%d\tline %d\n" % (i, i))
c.execute("CREATE TABLE infile_ (id INT PRIMARY KEY, v VARCHAR(50))")
say("infile", c.execute("LOAD DATA LOCAL INFILE '%s' INTO TABLE infile_" % path))
db.commit()
fails(c, "infile to nowhere", "LOAD DATA LOCAL INFILE '%s' INTO TABLE nowhere" % path)
c.execute("SELECT COUNT(*), SUM(id), MAX(v) FROM infile_")
say("loaded", c.fetchall())

for what, sql in [("syntax", "SELEC 1"), ("no table", "SELECT * FROM nowhere"), ("duplicate", "INSERT INTO t (id) VALUES (1)"), ("no rights", "DROP DATABASE mysql")]:
    fails(c, what, sql)
db.rollback()

db.begin() if module == "pymysql" else c.execute("BEGIN")
c.execute("INSERT INTO t (id) VALUES (100)")
db.rollback()
c.execute("INSERT INTO t (id) VALUES (101)")
db.commit()
c.execute("SELECT id FROM t WHERE id >= 100")
say("transactions", c.fetchall())

db.commit()
db.close()
db = connect(mode == "tls", **({"compress": True} if module == "MySQLdb" and mode == "tls" else {}))  # callproc has left user variables in the other one, which cannot move
c = db.cursor()
c.execute("SET time_zone='+03:00', sql_mode='ANSI_QUOTES', group_concat_max_len=4321")
db.autocommit(True)
for i in range(2):
    db.commit()
    say("move")
    sys.stdin.readline()
    c.execute("SELECT @@time_zone, @@sql_mode, @@group_concat_max_len, @@autocommit, DATABASE(), CHARSET('x')")
    say("state", c.fetchall())
    say("after", c.execute("INSERT INTO t (id) VALUES (%s)", (200 + i,)))

other = connect()
oc = other.cursor()
c.execute("SELECT CONNECTION_ID()")
own = c.fetchone()[0]
killer = threading.Timer(0.3, lambda: oc.execute("KILL QUERY %d" % own))
killer.start()
began = time.time()
try:
    c.execute("SELECT COUNT(*) FROM rows_ a, rows_ b WHERE a.v <> b.v")
    say("not killed")
except driver.Error as e:
    say("killed", e.args[0], time.time() - began < 20)
killer.join()
c.execute("SELECT 'alive'")
say("then", c.fetchall())
db.ping()
c.execute("SELECT CONNECTION_ID()")
oc.execute("KILL %d" % c.fetchone()[0])
try:
    c.execute("SELECT 'not lost'")
except driver.Error as e:
    say("lost", type(e).__name__)
other.close()
if module == "pymysql":
    db.ping(reconnect=True)
    with db.cursor() as rc:
        rc.execute("SELECT 'reconnected', @@autocommit")
        say("then", rc.fetchall())
    db.close()
again = connect()
ac = again.cursor()
ac.execute("SELECT COUNT(*) FROM t")
say("again", ac.fetchall())
if module == "MySQLdb":
    ac.execute("SET @x = 1")
    again.change_user(user, password, "app")  # libmariadb answers with the salt that it knows
    ac.execute("SELECT CURRENT_USER(), DATABASE(), @x")
    say("changed user", ac.fetchall())
again.close()
say("done")
