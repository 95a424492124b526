package sparkqfs.copy;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.deploy.SparkHadoopUtil;
import org.apache.spark.sql.api.java.UDF4;

/**
 * Copies one file between two Hadoop file systems, in an executor: (source, target, overwrite, the second since the
 * epoch in which nobody copies any more) to "state TAB bytes TAB SHA-256 TAB message". States: copied, unchanged (the
 * same bytes are there), differs (other bytes are there and overwrite is false), failed. The target appears whole or
 * not at all, after it was read back; a file that it replaces is there until then.
 */
public final class CopyFile implements UDF4<String, String, Boolean, Long, String> {
    private static final long serialVersionUID = 2L;

    @Override
    public String call(String source, String target, Boolean overwrite, Long endSeconds) {
        try {
            return Copy.of(new Path(source), new Path(target), overwrite, endSeconds, configuration());
        } catch (Exception error) {
            String why = error.getClass().getSimpleName() + ": " + error.getMessage();
            return Copy.answer("failed", 0, "", why.replaceAll("\\s+", " "));
        }
    }

    /** The cluster's settings: an executor's own Hadoop configuration lacks the lines spark.hadoop.*. */
    private static Configuration configuration() {
        return SparkHadoopUtil.get().newConfiguration(SparkEnv.get().conf());
    }
}
