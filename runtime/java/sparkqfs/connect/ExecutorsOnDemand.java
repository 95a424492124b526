package sparkqfs.connect;

import java.util.Collections;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

import org.apache.spark.SparkContext;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorAdded;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.scheduler.SparkListenerJobEnd;
import org.apache.spark.scheduler.SparkListenerJobStart;
import scala.jdk.javaapi.CollectionConverters;

/**
 * The Connect server's executors go back to the cluster when nothing has run for a minute, and are asked for again, all
 * of them, by the next query. Spark's dynamic allocation would ask for as many as a query has tasks, on whichever
 * machines: what lies on the others would be read over the network. Data that somebody cached keeps them; what Delta
 * caches of a table's log for itself, for an hour after each query, does not. Where settings turn dynamic allocation on,
 * this does nothing.
 */
public final class ExecutorsOnDemand implements SparkPlugin {
    /** A time as Spark writes it, seconds without a unit; 0 for never. */
    private static final String SETTING = "spark.sparkqfs.giveBack";
    private static final String USUAL = "60s";
    private static final long LOOK_MS = 500;
    private static final long PATIENCE_MS = 20_000;
    private static final int ALL = Integer.MAX_VALUE;
    /** Of the names it gives. Source: Delta 4.4, Snapshot.scala. Where its blocks are gone, it reads the log again. */
    private static final String OF_DELTA = "Delta Table State";

    private static volatile Driver driver;

    @Override
    public DriverPlugin driverPlugin() {
        driver = new Driver();
        return driver;
    }

    @Override
    public ExecutorPlugin executorPlugin() {
        return null;
    }

    /** Before a query: executors are there as they were, or have been asked for and do not come. */
    static void take() {
        Driver now = driver;
        if (now != null) {
            now.ask();
            now.await();
        }
    }

    private static final class Driver extends SparkListener implements DriverPlugin {
        private SparkContext context;
        private long idleMs;
        private long lastUse = System.nanoTime();
        private int jobs;
        /** Queries that wait for executors. */
        private int waiting;
        /** Their ids; those that were given back are none, though Spark takes some seconds to see their end. */
        private final Set<String> executors = new HashSet<>();
        /** How many there were when they were given back; 0 while they are not. */
        private int given;
        private int expected;

        @Override
        public Map<String, String> init(SparkContext context, PluginContext plugin) {
            this.context = context;
            idleMs = context.conf().getTimeAsSeconds(SETTING, USUAL) * 1000;
            if (idleMs > 0 && !context.conf().getBoolean("spark.dynamicAllocation.enabled", false)) {
                context.addSparkListener(this);
                Thread thread = new Thread(this::watch, "executors on demand");
                thread.setDaemon(true);
                thread.start();
            }
            return Collections.emptyMap();
        }

        @Override
        public void onJobStart(SparkListenerJobStart job) {
            synchronized (this) {
                jobs++;
            }
            ask();
        }

        @Override
        public synchronized void onJobEnd(SparkListenerJobEnd job) {
            jobs--;
            lastUse = System.nanoTime();
        }

        @Override
        public synchronized void onExecutorAdded(SparkListenerExecutorAdded added) {
            executors.add(added.executorId());
            notifyAll();
        }

        @Override
        public synchronized void onExecutorRemoved(SparkListenerExecutorRemoved removed) {
            executors.remove(removed.executorId());
        }

        private void watch() {
            try {
                while (!context.isStopped()) {
                    Thread.sleep(LOOK_MS);
                    giveBack();
                }
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }

        private synchronized void giveBack() {
            boolean isIdle = jobs == 0 && waiting == 0 && (System.nanoTime() - lastUse) / 1_000_000 > idleMs;
            if (!isIdle || executors.isEmpty() || given > 0 || hasCachedData()) {
                return;
            }
            given = executors.size();
            executors.clear();
            request(0);
            context.killExecutors(context.getExecutorIds());
        }

        private boolean hasCachedData() {
            return CollectionConverters.asJava(context.getPersistentRDDs()).values().stream()
                .anyMatch(data -> data.name() == null || !data.name().startsWith(OF_DELTA));
        }

        /** For all that there were, if they have been given back. */
        private synchronized void ask() {
            lastUse = System.nanoTime();
            if (given > 0) {
                expected = given;
                given = 0;
                request(ALL);
            }
        }

        /** Until as many are there as before: who has only some would read for the others over the network. */
        private synchronized void await() {
            long end = System.nanoTime() + PATIENCE_MS * 1_000_000;
            waiting++;
            try {
                while (executors.size() < expected && System.nanoTime() < end) {
                    wait(LOOK_MS);
                }
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            } finally {
                waiting--;
                expected = 0;
                lastUse = System.nanoTime();
            }
        }

        private void request(int total) {
            scala.collection.Map<String, Object> nowhere = CollectionConverters.asScala(Collections.emptyMap());
            context.requestTotalExecutors(total, 0, scala.collection.immutable.Map.from(nowhere));
        }
    }
}
