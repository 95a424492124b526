package sparkqfs.tables;

import java.io.IOException;
import java.util.Iterator;

import io.delta.storage.HDFSLogStore;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkEnv;

/**
 * Delta's way to commit below {@code file:}, which it refuses unless driver and tasks are one process. A path of a machine
 * is another directory on each, so rows would stay where they were written; and a rename there replaces what another
 * writer has committed a moment before, on a directory that all machines mount too.
 */
public class NoLocalTables extends HDFSLogStore {
    public NoLocalTables(Configuration conf) {
        super(conf);
    }

    @Override
    public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf) throws IOException {
        SparkEnv spark = SparkEnv.get();
        if (spark == null || !spark.conf().get("spark.master", "").startsWith("local")) {
            throw new IOException("a Delta table cannot be in " + path.getParent().getParent() + ": a directory of the machines "
                + "is not safe for it. Write it to the cluster's storage: a path without file:, or a table by its name");
        }
        super.write(path, actions, overwrite, conf);
    }
}
