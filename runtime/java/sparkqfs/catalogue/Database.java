package sparkqfs.catalogue;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** A Derby database in a directory: opened, looked through, copied while it is in use, closed. */
final class Database implements AutoCloseable {
    private static final String SCHEMA = "APP";
    private static final String CLOSED = "08006";

    private final Path place;
    private final Connection connection;

    /** Opens it; it is not made. Throws SQLException when there is none, or when it does not open. */
    Database(Path place) throws SQLException {
        this.place = place;
        this.connection = DriverManager.getConnection("jdbc:derby:" + place);
    }

    Connection connection() {
        return connection;
    }

    /** A copy as it is now, in the directory {@code folder}; whoever writes meanwhile is not held up. */
    void copyTo(Path folder) throws SQLException {
        try (PreparedStatement call = connection.prepareStatement("CALL SYSCS_UTIL.SYSCS_BACKUP_DATABASE(?)")) {
            call.setString(1, folder.toString());
            call.execute();
        }
    }

    /** Each row of each table and each index agree. Throws SQLException where they do not. */
    void check() throws SQLException {
        List<String> tables = new ArrayList<>();
        String all = "SELECT T.TABLENAME FROM SYS.SYSTABLES T JOIN SYS.SYSSCHEMAS S ON T.SCHEMAID = S.SCHEMAID"
            + " WHERE S.SCHEMANAME = '" + SCHEMA + "' AND T.TABLETYPE = 'T'";
        try (Statement ask = connection.createStatement(); ResultSet rows = ask.executeQuery(all)) {
            while (rows.next()) {
                tables.add(rows.getString(1));
            }
        }
        try (PreparedStatement look = connection.prepareStatement("VALUES SYSCS_UTIL.SYSCS_CHECK_TABLE(?, ?)")) {
            look.setString(1, SCHEMA);
            for (String table : tables) {
                look.setString(2, table);
                look.executeQuery().close();
            }
        }
    }

    /** Ends this connection; the database stays open for others. */
    @Override
    public void close() throws SQLException {
        connection.close();
    }

    /** Closes the database itself: what is in its directory then is whole. */
    void shutDown() throws SQLException {
        connection.close();
        try {
            DriverManager.getConnection("jdbc:derby:" + place + ";shutdown=true").close();
        } catch (SQLException ended) {
            if (!CLOSED.equals(ended.getSQLState())) {
                throw ended;
            }
        }
    }
}
