package sparkqfs.catalogue;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/** What is in a catalogue, as JSON: its databases, and its tables with what is known of each. */
final class Contents {
    private static final String MISSING_TABLE = "42X05";

    private static final String DATABASES =
        "SELECT NAME, OWNER_NAME, DB_LOCATION_URI FROM DBS ORDER BY NAME";
    private static final List<String> OF_DATABASE = List.of("name", "owner", "location");

    private static final String TABLES =
        "SELECT D.NAME, T.TBL_NAME, T.TBL_TYPE, T.OWNER, T.CREATE_TIME, COALESCE(P.PARAM_VALUE, S.LOCATION),"
        + parameter("spark.sql.sources.provider") + "," + parameter("spark.sql.create.version") + ","
        + parameter("spark.sql.statistics.totalSize", "totalSize") + ","
        + parameter("spark.sql.statistics.numRows", "numRows") + ","
        + " S.INPUT_FORMAT"
        + " FROM TBLS T JOIN DBS D ON T.DB_ID = D.DB_ID LEFT JOIN SDS S ON T.SD_ID = S.SD_ID"
        + " LEFT JOIN SERDE_PARAMS P ON P.SERDE_ID = S.SERDE_ID AND P.PARAM_KEY = 'path'"
        + " ORDER BY D.NAME, T.TBL_NAME";
    private static final List<String> OF_TABLE = List.of("database", "name", "type", "owner", "created", "location",
        "provider", "version", "bytes", "rows", "input_format");

    private static final String PARTITIONS =
        "SELECT D.NAME, T.TBL_NAME, COUNT(*) FROM PARTITIONS P JOIN TBLS T ON P.TBL_ID = T.TBL_ID"
        + " JOIN DBS D ON T.DB_ID = D.DB_ID GROUP BY D.NAME, T.TBL_NAME ORDER BY D.NAME, T.TBL_NAME";
    private static final List<String> OF_PARTITIONS = List.of("database", "name", "count");

    private Contents() {
    }

    private static String parameter(String... keys) {
        StringBuilder text = new StringBuilder(" COALESCE(");
        for (String key : keys) {
            text.append("(SELECT CAST(X.PARAM_VALUE AS VARCHAR(4000)) FROM TABLE_PARAMS X"
                + " WHERE X.TBL_ID = T.TBL_ID AND X.PARAM_KEY = '").append(key).append("'), ");
        }
        return text.append("CAST(NULL AS VARCHAR(1)))").toString();
    }

    /** The members of a JSON object, without its braces. */
    static String json(Connection connection) throws SQLException {
        return "\"databases\": " + rows(connection, DATABASES, OF_DATABASE) + ", \"tables\": "
            + rows(connection, TABLES, OF_TABLE) + ", \"partitions\": " + rows(connection, PARTITIONS, OF_PARTITIONS);
    }

    /** Hive makes its own tables when they are first needed: one that is not there yet has no rows. */
    private static String rows(Connection connection, String query, List<String> names) throws SQLException {
        StringBuilder text = new StringBuilder("[");
        try (Statement ask = connection.createStatement(); ResultSet rows = ask.executeQuery(query)) {
            while (rows.next()) {
                text.append(text.length() > 1 ? ", {" : "{");
                for (int number = 0; number < names.size(); number++) {
                    text.append(number > 0 ? ", " : "").append(quoted(names.get(number))).append(": ")
                        .append(quoted(rows.getString(number + 1)));
                }
                text.append('}');
            }
        } catch (SQLException failed) {
            if (!MISSING_TABLE.equals(failed.getSQLState())) {
                throw failed;
            }
        }
        return text.append(']').toString();
    }

    /** A JSON string; null for null. */
    static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder made = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            if (one == '"' || one == '\\') {
                made.append('\\').append(one);
            } else if (one < ' ' || one > '~') {
                made.append(String.format("\\u%04x", (int) one));
            } else {
                made.append(one);
            }
        }
        return made.append('"').toString();
    }
}
