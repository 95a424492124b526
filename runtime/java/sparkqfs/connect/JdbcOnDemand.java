package sparkqfs.connect;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.Map;

import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkContext;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.hive.thriftserver.HiveThriftServer2;

/**
 * Spark's Thrift server in the Connect server's own process, started when the file `jdbc.wanted` appears in the run
 * directory: whoever wants it shares that application's executors, and who does not want it does not wait for it. It
 * listens on loopback, on a port that is free, and takes the Connect server's token as a password. The file `jdbc`
 * then has `port NUMBER`, or `failed WHY`.
 */
public final class JdbcOnDemand implements SparkPlugin {
    private static final long LOOK_MS = 300;

    @Override
    public DriverPlugin driverPlugin() {
        return new Driver();
    }

    @Override
    public ExecutorPlugin executorPlugin() {
        return null;
    }

    private static final class Driver implements DriverPlugin {
        @Override
        public Map<String, String> init(SparkContext context, PluginContext plugin) {
            String run = System.getenv("SPARKQFS_RUN_DIR");
            Path folder = Path.of(run == null || run.isEmpty() ? "/run/sparkqfs" : run);
            Thread thread = new Thread(() -> waitAndStart(context, folder), "jdbc on demand");
            thread.setDaemon(true);
            thread.start();
            return Collections.emptyMap();
        }
    }

    private static void waitAndStart(SparkContext context, Path folder) {
        String said;
        try {
            while (!Files.exists(folder.resolve("jdbc.wanted"))) {
                Thread.sleep(LOOK_MS);
            }
            said = "port " + start(context);
        } catch (InterruptedException error) {
            return;
        } catch (IOException | RuntimeException | LinkageError error) {
            said = "failed " + String.valueOf(error).lines().findFirst().orElse("");
        }
        try {
            Path made = Files.createTempFile(folder, ".jdbc", "",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            Files.write(made, (said + "\n").getBytes(StandardCharsets.UTF_8));
            Files.move(made, folder.resolve("jdbc"), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    /** Its port. */
    private static int start(SparkContext context) throws IOException {
        int port;
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            port = probe.getLocalPort();
        }
        Configuration settings = context.hadoopConfiguration();
        settings.set("hive.server2.transport.mode", "binary");
        settings.set("hive.server2.thrift.bind.host", "127.0.0.1");
        settings.setInt("hive.server2.thrift.port", port);
        settings.setInt("hive.server2.thrift.min.worker.threads", 1);
        settings.set("hive.server2.authentication", "CUSTOM");
        // Read from a HiveConf of its own (CustomAuthenticationProviderImpl of Spark's hive-service).
        System.setProperty("hive.server2.custom.authentication.class", TokenAuthentication.class.getName());
        settings.setBoolean("hive.server2.enable.doAs", false);
        HiveThriftServer2.startWithSparkSession(SparkSession.builder().getOrCreate(), false);
        return port;
    }
}
