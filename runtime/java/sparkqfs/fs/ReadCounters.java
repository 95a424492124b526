package sparkqfs.fs;

import java.util.Collection;
import java.util.EnumMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;

/** What the streams of this JVM read, and from where. Bytes handed to callers, never bytes read ahead. */
public final class ReadCounters {
    static final LongAdder LOCAL = new LongAdder();
    static final LongAdder REMOTE = new LongAdder();
    static final LongAdder FALLBACK = new LongAdder();
    /** A source that is not known: nobody was asked about the chunk, or there is no answer. */
    static final LongAdder UNKNOWN = new LongAdder();
    private static final int MOST_SOURCES = 1_000;
    private static final Map<Doubt.Reason, LongAdder> DOUBTS = new EnumMap<>(Doubt.Reason.class);
    private static final Map<String, LongAdder> SOURCES = new ConcurrentSkipListMap<>();

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

    /** The counter of bytes that came from one of these hosts; upstream's reader does not say from which. */
    static LongAdder source(Collection<String> hosts) {
        String name = String.join(",", hosts.stream().sorted().toList());
        boolean isNew = !SOURCES.containsKey(name) && SOURCES.size() >= MOST_SOURCES;
        return name.isEmpty() || isNew ? UNKNOWN : SOURCES.computeIfAbsent(name, key -> new LongAdder());
    }

    private static String json(Map<?, LongAdder> counters) {
        return counters.entrySet().stream()
            .filter(entry -> entry.getValue().sum() > 0)
            .map(entry -> "\"" + entry.getKey() + "\": " + entry.getValue().sum())
            .collect(Collectors.joining(", ", "{", "}"));
    }

    /**
     * One JSON object: {@code host} and {@code process} name this JVM, {@code local}, {@code remote} (no replica
     * here) and {@code fallback} (upstream's reader in spite of a replica here, or in doubt) are bytes,
     * {@code doubts} counts the reasons. {@code sources} has the remote and fallback bytes by the hosts that may have
     * given them: those that had the chunk, sorted, a comma between them, or {@code unknown}. Executors answer
     * Spark SQL's {@code java_method('sparkqfs.fs.ReadCounters', 'snapshot')}.
     */
    public static String snapshot() {
        Map<String, LongAdder> sources = new TreeMap<>(SOURCES);
        sources.put("unknown", UNKNOWN);
        ProcessHandle self = ProcessHandle.current();
        long started = self.info().startInstant().map(instant -> instant.toEpochMilli()).orElse(0L);
        return String.format(
            "{\"host\": \"%s\", \"process\": \"%d-%d\", \"local\": %d, \"remote\": %d, \"fallback\": %d, \"doubts\": %s, "
                + "\"sources\": %s}",
            LocalReplicas.ownAddress(), self.pid(), started, LOCAL.sum(), REMOTE.sum(), FALLBACK.sum(), json(DOUBTS),
            json(sources));
    }
}
