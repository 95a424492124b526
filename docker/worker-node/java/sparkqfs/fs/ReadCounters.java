package sparkqfs.fs;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;

/** What the streams of this JVM read, and from where. Bytes handed to callers, never bytes read ahead. */
public final class ReadCounters {
    static final LongAdder LOCAL = new LongAdder();
    static final LongAdder REMOTE = new LongAdder();
    static final LongAdder FALLBACK = new LongAdder();
    private static final Map<Doubt.Reason, LongAdder> DOUBTS = new EnumMap<>(Doubt.Reason.class);

    static {
        for (Doubt.Reason reason : Doubt.Reason.values()) {
            DOUBTS.put(reason, new LongAdder());
        }
    }

    private ReadCounters() {
    }

    static void count(Doubt.Reason reason) {
        DOUBTS.get(reason).increment();
    }

    /**
     * One JSON object: {@code host} and {@code process} name this JVM, {@code local}, {@code remote} (no replica
     * here) and {@code fallback} (upstream's reader in spite of a replica here, or in doubt) are bytes,
     * {@code doubts} counts the reasons. Executors answer Spark SQL's
     * {@code java_method('sparkqfs.fs.ReadCounters', 'snapshot')}.
     */
    public static String snapshot() {
        String doubts = DOUBTS.entrySet().stream()
            .filter(entry -> entry.getValue().sum() > 0)
            .map(entry -> "\"" + entry.getKey() + "\": " + entry.getValue().sum())
            .collect(Collectors.joining(", ", "{", "}"));
        ProcessHandle self = ProcessHandle.current();
        long started = self.info().startInstant().map(instant -> instant.toEpochMilli()).orElse(0L);
        return String.format(
            "{\"host\": \"%s\", \"process\": \"%d-%d\", \"local\": %d, \"remote\": %d, \"fallback\": %d, \"doubts\": %s}",
            LocalReplicas.ownAddress(), self.pid(), started, LOCAL.sum(), REMOTE.sum(), FALLBACK.sum(), doubts);
    }
}
