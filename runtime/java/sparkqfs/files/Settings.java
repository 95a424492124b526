package sparkqfs.files;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.hadoop.conf.Configuration;

/** Hadoop's settings as they are in this container: any role's, without Spark. */
final class Settings {
    private static final String PREFIX = "spark.hadoop.";

    private Settings() {
    }

    /** Of later sources the values win: the container's environment, Hadoop's own files, spark-defaults.conf. */
    static Configuration of(Map<String, String> environment) throws IOException {
        Configuration conf = new Configuration();
        String root = environment.getOrDefault("SPARKQFS_ROOT", "");
        String copies = environment.getOrDefault("SPARKQFS_REPLICATION", "");
        if (!root.isEmpty()) {
            conf.set("fs.defaultFS", root);
        }
        if (!copies.isEmpty()) {
            conf.set("dfs.replication", copies);
            conf.set("fs.qfs.createParams", copies);
        }
        conf.set("fs.qfs.impl", "sparkqfs.fs.LocalReadFileSystem");
        String run = environment.getOrDefault("SPARKQFS_RUN_DIR", "/run/sparkqfs");
        for (String name : List.of("core-site.xml", "hdfs-site.xml")) {
            Path file = Path.of(run, "hadoop", name);
            if (Files.isReadable(file)) {
                conf.addResource(new org.apache.hadoop.fs.Path(file.toUri()));
            }
        }
        Path defaults = Path.of(environment.getOrDefault("SPARK_CONF_DIR", run + "/conf"), "spark-defaults.conf");
        if (Files.isReadable(defaults)) {
            Properties said = new Properties();
            try (Reader lines = Files.newBufferedReader(defaults)) {
                said.load(lines);
            }
            for (String name : said.stringPropertyNames()) {
                if (name.startsWith(PREFIX)) {
                    conf.set(name.substring(PREFIX.length()), said.getProperty(name).strip());
                }
            }
        }
        return conf;
    }
}
