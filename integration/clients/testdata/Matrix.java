import java.io.ByteArrayInputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.security.MessageDigest;
import java.sql.*;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Properties;
import java.util.Random;

/**
 * What an application does with MariaDB Connector/J, and everything that it gets to see, on standard output. Arguments:
 * host port user password plain|tls. It prints "move" where the primary role may move, and goes on with the next line of
 * standard input.
 */
public class Matrix {
  static String[] args;

  static Connection connect(boolean tls, String... options) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", args[2]);
    p.setProperty("password", args[3]);
    p.setProperty("allowLocalInfile", "true");
    p.setProperty("allowPublicKeyRetrieval", "true");
    p.setProperty("serverTimezone", "UTC");
    p.setProperty("useSsl", String.valueOf(tls));
    p.setProperty("trustServerCertificate", "true");
    for (int i = 0; i < options.length; i += 2) p.setProperty(options[i], options[i + 1]);
    return DriverManager.getConnection("jdbc:mariadb://" + args[0] + ":" + args[1] + "/app", p);
  }

  static void say(Object... what) {
    StringBuilder b = new StringBuilder();
    for (Object o : what) b.append(b.length() > 0 ? " " : "").append(o instanceof byte[] x ? HexFormat.of().formatHex(x) : String.valueOf(o));
    System.out.println(b);
    System.out.flush();
  }

  static String rows(ResultSet rs) throws SQLException {
    StringBuilder b = new StringBuilder();
    int n = rs.getMetaData().getColumnCount();
    while (rs.next()) {
      for (int i = 1; i <= n; i++) {
        Object o = rs.getObject(i);
        b.append(i == 1 ? "(" : ", ").append(o instanceof byte[] x ? HexFormat.of().formatHex(x) : String.valueOf(o));
      }
      b.append(")");
    }
    return b.toString();
  }

  static String query(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery(sql)) { return rows(rs); }
  }

  static int update(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) { return s.executeUpdate(sql); }
  }

  static void fails(Connection c, String sql) {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
      say(sql, "succeeded");
    } catch (SQLException e) {
      say(sql, e.getErrorCode(), e.getSQLState(), e.getMessage().replaceAll("\\(conn=\\d+\\)", ""));
    }
  }

  public static void main(String[] a) throws Exception {
    args = a;
    boolean tls = a[4].equals("tls");
    Random random = new Random(1);
    byte[] blob = new byte[20 << 20];
    random.nextBytes(blob);
    Connection plain = connect(tls);
    String mariadb = String.valueOf(plain.getMetaData().getDatabaseProductName().equals("MariaDB"));
    update(plain, "DROP TABLE IF EXISTS t, rows_, blobs, infile_");
    update(plain, "DROP PROCEDURE IF EXISTS several");
    update(plain, "CREATE TABLE t (id INT PRIMARY KEY, i8 TINYINT, u64 BIGINT UNSIGNED, d DECIMAL(30,10), f DOUBLE, dt DATETIME(6), da DATE, ti TIME, y YEAR, "
        + "v VARCHAR(200), b VARBINARY(50), tx LONGTEXT, e ENUM('x','y'), bi BIT(12), n INT) DEFAULT CHARSET=utf8mb4");
    update(plain, "CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB)");
    Connection binary = connect(tls, "useServerPrepStmts", mariadb, "useBulkStmts", mariadb); // this version's do not fit MySQL 9
    int id = 0;
    for (Connection c : new Connection[] {plain, binary}) {
      try (PreparedStatement s = c.prepareStatement("INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")) {
        for (int i = 0; i < 2; i++) {
          s.setInt(1, ++id);
          s.setInt(2, -128);
          s.setBigDecimal(3, new BigDecimal(new BigInteger("18446744073709551615")));
          s.setBigDecimal(4, new BigDecimal("-12345678901234567890.0123456789"));
          s.setDouble(5, 1.5e300);
          s.setTimestamp(6, Timestamp.valueOf("2024-02-29 12:34:56.789012"));
          s.setDate(7, Date.valueOf("1999-12-31"));
          s.setTime(8, Time.valueOf("23:59:58"));
          s.setInt(9, 2155);
          s.setString(10, "\u00dcn\u00ef\u20ac\ud83d\ude00'\"\\");
          s.setBytes(11, new byte[] {0, 1, -1, 39, 92});
          s.setString(12, "x".repeat(70000));
          s.setString(13, "y");
          s.setBytes(14, new byte[] {0x0a, (byte) 0xbc});
          s.setNull(15, Types.INTEGER);
          say("insert", s.executeUpdate());
        }
      }
      try (PreparedStatement s = c.prepareStatement("SELECT * FROM t WHERE id > ? ORDER BY id")) {
        for (int i = 0; i < 2; i++) {
          s.setInt(1, i);
          try (ResultSet rs = s.executeQuery()) { say("types", rows(rs)); }
        }
      }
      try (PreparedStatement s = c.prepareStatement("REPLACE INTO blobs VALUES (1, ?)")) {
        s.setBinaryStream(1, new ByteArrayInputStream(blob));
        s.executeUpdate();
      }
      try (PreparedStatement s = c.prepareStatement("SELECT b FROM blobs WHERE id=?")) {
        s.setInt(1, 1);
        try (ResultSet rs = s.executeQuery()) {
          rs.next();
          say("blob", Arrays.equals(blob, rs.getBytes(1)));
        }
      }
    }
    update(plain, "CREATE TABLE rows_ (id INT PRIMARY KEY, v VARCHAR(300))");
    binary.setAutoCommit(false);
    try (PreparedStatement s = binary.prepareStatement("INSERT INTO rows_ VALUES (?, ?)")) {
      for (int i = 0; i < 5000; i++) {
        s.setInt(1, i);
        s.setString(2, "v".repeat(i % 300));
        s.addBatch();
      }
      say("batch", s.executeBatch().length);
    }
    binary.commit();
    binary.setAutoCommit(true);
    for (Connection c : new Connection[] {plain, binary}) {
      MessageDigest md = MessageDigest.getInstance("MD5");
      int n = 0;
      try (PreparedStatement s = c.prepareStatement("SELECT id, v FROM rows_ WHERE id >= ? ORDER BY id")) {
        s.setFetchSize(100);
        s.setInt(1, 10);
        try (ResultSet rs = s.executeQuery()) {
          while (rs.next()) {
            n++;
            md.update((rs.getInt(1) + rs.getString(2)).getBytes());
          }
        }
        try (ResultSet rs = s.executeQuery()) { say("first", rs.next(), rs.getInt(1)); } // the rest is dropped
      }
      say("streamed", n, md.digest());
    }
    update(plain, "CREATE PROCEDURE several(IN n INT, INOUT x VARCHAR(50), OUT total INT) BEGIN SELECT n; SELECT n+1 UNION SELECT n+2; "
        + "SET x = CONCAT(x, ' out'); SET total = (SELECT COUNT(*) FROM rows_); END");
    for (Connection c : new Connection[] {plain, binary}) {
      try (CallableStatement s = c.prepareCall("{call several(?, ?, ?)}")) {
        s.setInt(1, 5);
        s.setString(2, "in");
        s.registerOutParameter(2, Types.VARCHAR);
        s.registerOutParameter(3, Types.INTEGER);
        boolean more = s.execute();
        while (more) {
          say("result", rows(s.getResultSet()));
          more = s.getMoreResults();
        }
        say("out", s.getString(2), s.getInt(3));
      }
    }
    Connection multi = connect(tls, "allowMultiQueries", "true");
    try (Statement s = multi.createStatement()) {
      boolean result = s.execute("SELECT 1; UPDATE t SET i8=1; SELECT 'b'");
      while (result || s.getUpdateCount() != -1) {
        say("several", result ? rows(s.getResultSet()) : s.getUpdateCount());
        result = s.getMoreResults();
      }
    }
    multi.close();
    update(plain, "CREATE TABLE infile_ (id INT PRIMARY KEY, v VARCHAR(50))");
    StringBuilder file = new StringBuilder();
    for (int i = 0; i < 50000; i++) file.append(i).append("\tline ").append(i).append("\n");
    try (Statement s = plain.createStatement()) {
      s.unwrap(org.mariadb.jdbc.MariaDbStatement.class).setLocalInfileInputStream(new ByteArrayInputStream(file.toString().getBytes()));
      say("infile", s.executeUpdate("LOAD DATA LOCAL INFILE 'stream' INTO TABLE infile_"));
    }
    say("loaded", query(plain, "SELECT COUNT(*), MAX(v) FROM infile_"));
    for (String q : new String[] {"SELEC 1", "SELECT * FROM nowhere", "INSERT INTO t (id) VALUES (1)", "DROP DATABASE mysql"}) {
      fails(plain, q);
      fails(binary, q);
    }
    plain.setAutoCommit(false);
    plain.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
    update(plain, "INSERT INTO t (id) VALUES (100)");
    Savepoint p = plain.setSavepoint();
    update(plain, "INSERT INTO t (id) VALUES (101)");
    plain.rollback(p);
    plain.commit();
    plain.setAutoCommit(true);
    say("transactions", query(plain, "SELECT id FROM t WHERE id >= 100"), plain.getTransactionIsolation(), plain.getCatalog());

    binary.close(); // calls have left user variables, with which it cannot move
    plain.close();
    binary = connect(tls, "useServerPrepStmts", mariadb, "useCompression", String.valueOf(tls));
    plain = connect(tls);
    update(binary, "SET time_zone='+03:00', group_concat_max_len=4321");
    PreparedStatement kept = binary.prepareStatement("SELECT id FROM t WHERE id=?");
    for (int i = 0; i < 2; i++) {
      kept.setInt(1, 1);
      kept.executeQuery().close();
      say("move");
      System.in.read();
      try (ResultSet rs = kept.executeQuery()) { say("kept", rows(rs)); }
      say("state", query(binary, "SELECT @@time_zone, @@group_concat_max_len, @@autocommit, DATABASE(), @@transaction_isolation".replace("@@transaction_isolation", "1")));
      say("after", update(binary, "INSERT INTO t (id) VALUES (" + (200 + i) + ")"), update(plain, "UPDATE t SET i8=9 WHERE id=1"));
    }
    try (Statement s = binary.createStatement()) {
      Thread killer = new Thread(() -> {
        try {
          Thread.sleep(300);
          s.cancel();
        } catch (Exception e) {
          say("cancel", e.getMessage());
        }
      });
      killer.start();
      long began = System.nanoTime();
      try {
        s.executeQuery("SELECT COUNT(*) FROM rows_ a, rows_ b, rows_ c WHERE a.v <> b.v AND b.v <> c.v");
        say("not cancelled");
      } catch (SQLException e) {
        say("cancelled", e.getErrorCode(), System.nanoTime() - began < 20_000_000_000L);
      }
      killer.join();
    }
    say("then", query(binary, "SELECT 'alive'"), binary.isValid(5));
    update(plain, "KILL " + query(binary, "SELECT CONNECTION_ID()").replaceAll("[()]", ""));
    try {
      query(binary, "SELECT 1");
      say("not lost");
    } catch (SQLException e) {
      say("lost", e instanceof SQLNonTransientConnectionException, binary.isValid(5));
    }
    binary.close();
    plain.close();
    Connection again = connect(false);
    say("again", query(again, "SELECT COUNT(*) FROM t"));
    again.close();
    say("done");
  }
}
