import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStoreClient;
import org.apache.hadoop.hive.metastore.api.Database;
import org.apache.hadoop.hive.metastore.api.FieldSchema;
import org.apache.hadoop.hive.metastore.api.Partition;
import org.apache.hadoop.hive.metastore.api.SerDeInfo;
import org.apache.hadoop.hive.metastore.api.StorageDescriptor;
import org.apache.hadoop.hive.metastore.api.Table;

/** A session's side of the metastore: one command a line, one answer a line. Argument: PORT. */
final class TableClient {
    private final HiveMetaStoreClient client;

    private TableClient(String port) throws Exception {
        HiveConf conf = new HiveConf();
        conf.setVar(HiveConf.ConfVars.METASTOREURIS, "thrift://127.0.0.1:" + port);
        client = new HiveMetaStoreClient(conf);
    }

    public static void main(String[] words) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        TableClient client = new TableClient(words[0]);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String said;
            try {
                said = client.run(line.split(" "));
            } catch (Exception failed) {
                said = "failed " + String.valueOf(failed).replace('\n', ' ');
            }
            System.out.println(said);
        }
    }

    private String run(String[] words) throws Exception {
        switch (words[0]) {
            case "database":
                client.createDatabase(new Database(words[1], "", words[2], new HashMap<>()));
                return "ok";
            case "table":
                client.createTable(table(words[1], words[2], words[3]));
                return "ok";
            case "partition":
                Table table = client.getTable(words[1], words[2]);
                StorageDescriptor place = table.getSd().deepCopy();
                place.setLocation(place.getLocation() + "/day=" + words[3]);
                client.add_partition(new Partition(List.of(words[3]), words[1], words[2], 0, 0, place, new HashMap<>()));
                return "ok";
            case "drop":
                client.dropTable(words[1], words[2]);
                return "ok";
            case "list":
                List<String> names = new ArrayList<>(client.getAllTables(words[1]));
                names.sort(null);
                return String.join(" ", names);
            default:
                return "failed what?";
        }
    }

    private static Table table(String database, String name, String location) {
        StorageDescriptor place = new StorageDescriptor();
        place.setCols(List.of(new FieldSchema("one", "bigint", ""), new FieldSchema("two", "string", "")));
        place.setLocation(location);
        place.setSerdeInfo(new SerDeInfo("", "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", new HashMap<>()));
        Table table = new Table();
        table.setDbName(database);
        table.setTableName(name);
        table.setOwner("somebody");
        table.setTableType("EXTERNAL_TABLE");
        table.setSd(place);
        table.setPartitionKeys(List.of(new FieldSchema("day", "string", "")));
        table.setParameters(new HashMap<>());
        table.getParameters().put("EXTERNAL", "TRUE");
        table.getParameters().put("spark.sql.sources.provider", "parquet");
        return table;
    }
}
