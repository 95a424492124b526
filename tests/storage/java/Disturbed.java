import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import sparkqfs.fs.ReadCounters;

/**
 * Threads that read files through our file system while another one replaces, deletes, appends to and moves them. Each
 * word of a file says which file, which generation of it and which place it is, so every read is checked by itself.
 * Commands on standard input, one JSON object a line as answer: start, progress, stop. Argument: the metaserver's URI.
 */
public final class Disturbed {
    private static final int FILES = 8;
    private static final int READERS = 6;
    /** So many of them keep a stream for seconds. */
    private static final int SLOW_READERS = 2;
    private static final int MOST_BYTES = 200_000;
    private static final int LEAST_SIZE = 400_000;
    private static final String[] CHANGES = {"append", "overwrite", "rename", "recreate", "copies"};

    private final URI uri;
    private final FileSystem ours;
    private final FileSystem theirs;
    /** Of each file, the generation whose writing has begun, and the one that a new reader finds at least. */
    private final AtomicIntegerArray begun = new AtomicIntegerArray(FILES);
    private final AtomicIntegerArray written = new AtomicIntegerArray(FILES);
    private final Map<String, LongAdder> counts = new ConcurrentSkipListMap<>();
    private final AtomicLong shown = new AtomicLong();
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean isOver;

    private Disturbed(URI uri) throws IOException {
        this.uri = uri;
        ours = FileSystem.newInstance(uri, configuration("sparkqfs.fs.LocalReadFileSystem"));
        theirs = FileSystem.newInstance(uri, configuration("sparkqfs.fs.LocalReadFileSystem"));
    }

    private static Configuration configuration(String implementation) {
        Configuration conf = new Configuration(false);
        conf.set("fs.qfs.impl", implementation);
        conf.set("fs.qfs.createParams", "3");
        return conf;
    }

    public static void main(String[] arguments) throws Exception {
        Disturbed self = new Disturbed(URI.create(arguments[0]));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            if (line.equals("start")) {
                self.start();
            } else if (line.equals("stop")) {
                self.isOver = true;
                for (Thread thread : self.threads) {
                    thread.join(60_000);
                    self.count(thread.isAlive() ? "hanging" : "ended", 1);
                }
            }
            System.out.println(self.answer());
            System.out.flush();
        }
        System.exit(0);
    }

    private String answer() {
        return counts.entrySet().stream().map(entry -> "\"" + entry.getKey() + "\": " + entry.getValue().sum())
            .collect(Collectors.joining(", ", "{", ", \"counters\": " + ReadCounters.snapshot() + "}"));
    }

    private void count(String what, long number) {
        counts.computeIfAbsent(what, key -> new LongAdder()).add(number);
    }

    private void start() throws IOException {
        for (String what : List.of("reads", "bytes", "differing", "stale")) {
            count(what, 0);
        }
        for (int file = 0; file < FILES; file++) {
            write(path(file), file, 1, (short) 3);
            written.set(file, 1);
        }
        for (int number = 0; number <= READERS; number++) {
            Random random = new Random(number);
            boolean isSlow = number < SLOW_READERS;
            Thread thread = new Thread(number < READERS ? () -> readOn(random, isSlow) : () -> changeOn(random));
            thread.setDaemon(true);
            thread.start();
            threads.add(thread);
        }
    }

    private static Path path(int file) {
        return new Path("/disturbed/" + file);
    }

    private static int size(int file, int generation) {
        return LEAST_SIZE + new Random(file * 100_003L + generation).nextInt(2_000_000);
    }

    /** The bytes of a range; every other word scrambles the one before it. */
    private static byte[] content(int file, int generation, long start, int length) {
        long first = start / 16 * 16;
        ByteBuffer words = ByteBuffer.allocate((int) (start - first) + length + 16);
        for (long at = first; words.remaining() >= 16; at += 16) {
            long word = (long) generation << 40 | (long) file << 36 | at;
            words.putLong(word).putLong(Long.rotateLeft(word * 0x9E3779B97F4A7C15L, 17));
        }
        return Arrays.copyOfRange(words.array(), (int) (start - first), (int) (start - first) + length);
    }

    private void write(Path path, int file, int generation, short copies) throws IOException {
        begun.set(file, generation);
        int size = size(file, generation);
        try (FSDataOutputStream output = ours.create(path, true, 1 << 16, copies, 1 << 26)) {
            for (int at = 0; at < size; at += MOST_BYTES) {
                output.write(content(file, generation, at, Math.min(MOST_BYTES, size - at)));
                if (at / MOST_BYTES % 3 == 2) {
                    output.hflush();
                }
            }
        }
    }

    private void changeOn(Random random) {
        while (!isOver) {
            String change = CHANGES[random.nextInt(CHANGES.length)];
            try {
                change(random.nextInt(FILES), change, random);
                count("changes of kind " + change, 1);
                Thread.sleep(random.nextInt(200));
            } catch (Exception failure) {
                count("change failed: " + change + " " + failure.getClass().getName(), 1);
            }
        }
    }

    private void change(int file, String change, Random random) throws IOException {
        int next = begun.get(file) + 1;
        short copies = (short) (1 + random.nextInt(3));
        switch (change) {
            case "append":
                try (FSDataOutputStream output = theirs.append(path(file))) {
                    output.write(new byte[1 + random.nextInt(50_000)]);
                }
                return;
            case "copies":
                theirs.setReplication(path(file), copies);
                return;
            case "rename":
                Path other = new Path("/disturbed/" + file + ".next");
                write(other, file, next, copies);
                theirs.rename(other, path(file));
                break;
            case "recreate":
                theirs.delete(path(file), false);
                write(path(file), file, next, copies);
                break;
            default:
                write(path(file), file, next, copies);
        }
        written.set(file, next);
    }

    private void readOn(Random random, boolean isSlow) {
        while (!isOver) {
            int file = random.nextInt(FILES);
            int oldest = written.get(file);
            try (FSDataInputStream input = ours.open(path(file))) {
                readStream(input, file, oldest, begun.get(file), random, isSlow);
            } catch (IOException failure) {
                count("failed: " + failure.getClass().getName(), 1);
            }
        }
    }

    /** Up to some hundred reads of one stream, all of which must be of one generation. */
    private void readStream(
            FSDataInputStream input, int file, int oldest, int newest, Random random, boolean isSlow)
            throws IOException {
        long available = input.available();
        byte[] start = new byte[16];
        if (available < start.length || input.read(0L, start, 0, start.length) < start.length) {
            count("nothing to read", 1);
            return;
        }
        int generation = (int) (ByteBuffer.wrap(start).getLong() >>> 40);
        if (generation < oldest || generation > newest) {
            count("stale", 1);
        }
        long limit = Math.min(available, size(file, generation));
        for (int number = random.nextInt(isSlow ? 300 : 30); number >= 0 && !isOver; number--) {
            if (isSlow) {
                LockSupport.parkNanos(random.nextInt(60_000_000));
            }
            int length = 1 + random.nextInt(random.nextInt(4) == 0 ? MOST_BYTES : 3_000);
            long at = (long) (random.nextDouble() * limit);
            int shift = random.nextInt(20);
            byte[] buffer = new byte[shift + length];
            int got;
            if (random.nextBoolean()) {
                got = input.read(at, buffer, shift, length);
            } else {
                input.seek(at);
                got = input.read(buffer, shift, length);
            }
            check(buffer, shift, (int) Math.min(got, limit - at), file, generation, at);
        }
    }

    private void check(byte[] buffer, int shift, int got, int file, int generation, long at) {
        if (got <= 0) {
            count("no byte before the end", 1);
            return;
        }
        byte[] expected = content(file, generation, at, got);
        count("reads", 1);
        count("bytes", got);
        if (Arrays.equals(buffer, shift, shift + got, expected, 0, got)) {
            return;
        }
        int differing = 0;
        int first = -1;
        for (int i = 0; i < got; i++) {
            if (buffer[shift + i] != expected[i]) {
                differing++;
                first = first < 0 ? i : first;
            }
        }
        count("differing", differing);
        if (shown.incrementAndGet() < 20) {
            System.err.println("file " + file + " generation " + generation + " at " + at + " got " + got + ": "
                + differing + " bytes differ, the first is " + (at + first) + ", "
                + Arrays.toString(Arrays.copyOfRange(buffer, shift + first, Math.min(buffer.length, shift + first + 24))));
        }
    }
}
