import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** What a database tool does: logs in, lists schemas and tables and their columns, asks. Lines of words with tabs. */
public final class JdbcClient {
    private JdbcClient() {}

    public static void main(String[] words) throws Exception {
        try (Connection connection = DriverManager.getConnection(words[0], words[1], words[2])) {
            DatabaseMetaData known = connection.getMetaData();
            say("product", known.getDatabaseProductName());
            try (ResultSet schemas = known.getSchemas()) {
                while (schemas.next()) {
                    say("schema", schemas.getString("TABLE_SCHEM"));
                }
            }
            try (ResultSet tables = known.getTables(null, words[3], "%", new String[] {"TABLE", "VIEW"})) {
                while (tables.next()) {
                    say("table", tables.getString("TABLE_SCHEM"), tables.getString("TABLE_NAME"));
                }
            }
            try (ResultSet columns = known.getColumns(null, words[3], words[4], "%")) {
                while (columns.next()) {
                    say("column", columns.getString("COLUMN_NAME"), columns.getString("TYPE_NAME"));
                }
            }
            for (int at = 5; at < words.length; at++) {
                try (Statement statement = connection.createStatement();
                        ResultSet rows = statement.executeQuery(words[at])) {
                    int width = rows.getMetaData().getColumnCount();
                    while (rows.next()) {
                        List<String> row = new ArrayList<>(List.of("row"));
                        for (int column = 1; column <= width; column++) {
                            row.add(String.valueOf(rows.getObject(column)));
                        }
                        say(row.toArray(new String[0]));
                    }
                }
            }
        }
    }

    private static void say(String... words) {
        System.out.println(String.join("\t", words));
    }
}
