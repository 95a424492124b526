import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

import com.quantcast.qfs.access.KfsAccess;
import com.quantcast.qfs.access.KfsFileAttr;
import com.quantcast.qfs.access.KfsOutputChannel;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import sparkqfs.fs.LocalReadFileSystem;
import sparkqfs.fs.ReadCounters;

/**
 * Reads the same file through our file system and through upstream's and reports every difference: bytes, counts, or
 * class of the exception. Commands on standard input, one answer a line. Arguments: the metaserver's URI, perhaps a
 * user id to act as.
 */
public final class ReadDifference {
    private record Pair(FSDataInputStream ours, FSDataInputStream theirs) {
    }

    private interface Action {
        String run(FSDataInputStream input) throws Exception;
    }

    private final URI uri;
    private final String user;
    private FileSystem ours;
    private FileSystem theirs;
    private final Map<String, Pair> open = new HashMap<>();
    private final Map<String, FSDataOutputStream> held = new HashMap<>();
    private final StringBuilder firstDifference = new StringBuilder();
    private long bytes;

    private ReadDifference(URI uri, String user) throws IOException {
        this.uri = uri;
        this.user = user;
        forget();
    }

    /** New clients: upstream's remembers attributes for half a minute. */
    private void forget() throws IOException {
        ours = FileSystem.newInstance(uri, configuration("sparkqfs.fs.LocalReadFileSystem"));
        theirs = FileSystem.newInstance(uri, configuration("com.quantcast.qfs.hadoop.QuantcastFileSystem2"));
    }

    private Configuration configuration(String implementation) {
        Configuration conf = new Configuration(false);
        conf.set("fs.qfs.impl", implementation);
        conf.set("fs.qfs.createParams", "2");
        if (!user.isEmpty()) {
            conf.set("fs.qfs.euser", user);
        }
        return conf;
    }

    public static void main(String[] arguments) throws Exception {
        ReadDifference self = new ReadDifference(URI.create(arguments[0]), arguments.length > 1 ? arguments[1] : "");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String answer;
            try {
                answer = self.command(line.split(" "));
            } catch (Exception failure) {
                answer = "failed " + failure;
            }
            System.out.println(answer.replace('\n', ' '));
            System.out.flush();
        }
        System.exit(0);
    }

    private String command(String[] words) throws Exception {
        switch (words[0]) {
            case "write":
                return write(words[1], Long.parseLong(words[2]), Long.parseLong(words[3]), Short.parseShort(words[4]));
            case "hold":
                return hold(words[1], Integer.parseInt(words[2]), Short.parseShort(words[3]));
            case "release":
                held.remove(words[1]).close();
                return "closed";
            case "append":
                return append(words[1], Integer.parseInt(words[2]), Long.parseLong(words[3]));
            case "sparse":
                return sparse(words[1]);
            case "create":
                return create(words[1], Short.parseShort(words[2]), words[3]);
            case "delete":
                return "" + theirs.delete(new Path(words[1]), true);
            case "copies":
                return "" + theirs.setReplication(new Path(words[1]), Short.parseShort(words[2]));
            case "status":
                FileStatus status = ours.getFileStatus(new Path(words[1]));
                return status.getLen() + " " + status.getReplication();
            case "striped":
                return "" + ((LocalReadFileSystem) ours).isStriped(new Path(words[1]));
            case "hosts":
                return hosts(ours, new Path(words[1])) + " | " + hosts(theirs, new Path(words[1]));
            case "blocks":
                return blocks(ours, words) + " | " + blocks(theirs, words);
            case "open":
                forget();
                return both(words[1], words[2]);
            case "swapped":
                return swapped(new Path(words[1]), new Path(words[2]));
            case "close":
                Pair pair = open.remove(words[1]);
                pair.ours.close();
                pair.theirs.close();
                pair.ours.close();
                return compare(pair, input -> "" + input.getPos(), 1)
                    + compare(pair, input -> "" + input.read(new byte[9], 0, 9), 1)
                    + compare(pair, input -> "" + input.read(3L, new byte[9], 0, 9), 1)
                    + compare(pair, input -> "" + input.skip(3), 1) + " " + firstDifference;
            case "random":
                return random(open.get(words[1]), Integer.parseInt(words[2]), Long.parseLong(words[3]),
                    Integer.parseInt(words[4]), words.length > 5 ? Long.parseLong(words[5]) : Long.MAX_VALUE);
            case "first":
                return "" + open.get(words[1]).ours.read(0, new byte[1000], 0, 1000);
            case "threads":
                return threads(open.get(words[1]), Integer.parseInt(words[2]));
            case "scan":
                return scan(open.get(words[1]));
            case "time":
                return time(words[1].equals("ours") ? ours : theirs, words[2], Integer.parseInt(words[3]));
            case "counters":
                return ReadCounters.snapshot();
            case "statistics":
                return "" + FileSystem.getGlobalStorageStatistics().get("qfs").getLong("bytesRead");
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    /** The hosts of each block, as a scheduler is told. */
    private static String hosts(FileSystem system, Path path) throws IOException {
        FileStatus status = system.getFileStatus(path);
        List<String> blocks = new ArrayList<>();
        for (BlockLocation block : system.getFileBlockLocations(status, 0, status.getLen())) {
            blocks.add(String.join(",", block.getHosts()));
        }
        return String.join(" ", blocks);
    }

    /** Offset, length and hosts of the blocks of a range. */
    private static String blocks(FileSystem system, String[] words) throws IOException {
        FileStatus status = system.getFileStatus(new Path(words[1]));
        long start = Long.parseLong(words[2]);
        List<String> blocks = new ArrayList<>();
        for (BlockLocation block : system.getFileBlockLocations(status, start, Long.parseLong(words[3]))) {
            blocks.add(block.getOffset() + "+" + block.getLength() + ":" + String.join(",", block.getHosts()));
        }
        return String.join(" ", blocks);
    }

    private static byte[] pattern(int length, long seed) {
        byte[] result = new byte[length];
        new Random(seed).nextBytes(result);
        return result;
    }

    private String write(String name, long length, long seed, short copies) throws IOException {
        try (OutputStream output = ours.create(new Path(name), true, 1 << 16, copies, 1 << 26)) {
            byte[] piece = pattern(1 << 20, seed);
            for (long left = length; left > 0; left -= piece.length) {
                ByteBuffer.wrap(piece).putLong(0, left);
                output.write(piece, 0, (int) Math.min(left, piece.length));
            }
        }
        return "" + length;
    }

    /** Writes some bytes, more of them each time, and leaves the file open. */
    private String hold(String name, int length, short copies) throws IOException {
        if (!held.containsKey(name)) {
            held.put(name, ours.create(new Path(name), true, 1 << 16, copies, 1 << 26));
        }
        held.get(name).write(pattern(length, length));
        held.get(name).hflush();
        return "" + held.get(name).getPos();
    }

    /** The other ways to make a file: without its directory, and through FileContext. */
    private String create(String name, short copies, String how) throws IOException {
        Path path = new Path(name);
        if (how.equals("in-parent")) {
            ours.createNonRecursive(path, true, 4096, copies, 1 << 26, null).close();
        } else if (how.equals("default")) {
            ours.create(path).close();
        } else {
            Configuration conf = configuration("sparkqfs.fs.LocalReadFileSystem");
            conf.set("fs.AbstractFileSystem.qfs.impl", "sparkqfs.fs.LocalReadFs");
            FileContext context = FileContext.getFileContext(uri, conf);
            context.create(path, EnumSet.of(CreateFlag.CREATE, CreateFlag.OVERWRITE)).close();
            try (FSDataInputStream input = context.open(path)) {
                return ours.getFileStatus(path).getReplication() + " " + input.getWrappedStream().getClass().getSimpleName();
            }
        }
        return "" + ours.getFileStatus(path).getReplication();
    }

    /** A file whose first chunk is missing. */
    private String sparse(String name) throws IOException {
        KfsOutputChannel output = new KfsAccess(uri.getHost(), uri.getPort()).kfs_create_ex(name, false, "2");
        output.seek((1 << 26) + 100_000L);
        output.write(ByteBuffer.wrap(pattern(2_000_000, 7)));
        output.close();
        return name;
    }

    private String append(String name, int length, long seed) throws IOException {
        try (FSDataOutputStream output = theirs.append(new Path(name))) {
            output.write(pattern(length, seed));
        }
        return "" + length;
    }

    private String both(String path, String name) {
        FSDataInputStream[] results = new FSDataInputStream[2];
        String[] said = new String[2];
        FileSystem[] systems = {ours, theirs};
        for (int i = 0; i < 2; i++) {
            try {
                results[i] = systems[i].open(new Path(path));
                said[i] = results[i].getWrappedStream().getClass().getSimpleName();
            } catch (Exception failure) {
                said[i] = failure.getClass().getName() + ": " + failure.getMessage();
            }
        }
        open.put(name, new Pair(results[0], results[1]));
        return said[0] + " | " + said[1];
    }

    /**
     * Opens a file while its path means another one for all but the open itself, as when somebody renames them to and
     * fro; the class of the stream and the bytes that are upstream's.
     */
    private String swapped(Path path, Path other) throws IOException {
        LocalReadFileSystem system = new LocalReadFileSystem() {
            @Override
            protected KfsFileAttr attributes(Path asked) throws IOException {
                return super.attributes(other);
            }
        };
        system.initialize(uri, configuration("sparkqfs.fs.LocalReadFileSystem"));
        byte[] mine = new byte[1000];
        byte[] upstreams = new byte[1000];
        try (FSDataInputStream input = system.open(path); FSDataInputStream upstream = theirs.open(path)) {
            input.readFully(0, mine);
            upstream.readFully(0, upstreams);
            return input.getWrappedStream().getClass().getSimpleName() + " " + Arrays.equals(mine, upstreams);
        }
    }

    private static String outcome(Action action, FSDataInputStream input) {
        try {
            return action.run(input);
        } catch (Exception failure) {
            return failure.getClass().getName();
        }
    }

    /** 0 if both say the same, else 1; remembers the first difference. */
    private int compare(Pair pair, Action action, long number) {
        String mine = outcome(action, pair.ours);
        String upstreams = outcome(action, pair.theirs);
        if (mine.equals(upstreams)) {
            return 0;
        }
        if (firstDifference.length() == 0) {
            firstDifference.append("number ").append(number).append(": ours ").append(mine).append(" upstream ")
                .append(upstreams);
        }
        return 1;
    }

    private String shown(byte[] buffer, int count) {
        bytes += Math.max(0, count);
        return count + ":" + Arrays.hashCode(count > 0 ? Arrays.copyOf(buffer, count) : new byte[0]);
    }

    private long near(Random random, long size) {
        long[] borders = {0, 1 << 16, 1 << 26, 1 << 27, size, size / 65536 * 65536};
        if (random.nextInt(3) == 0) {
            return Math.max(0, borders[random.nextInt(borders.length)] + random.nextInt(400) - 200);
        }
        return (long) (random.nextDouble() * (size + 100));
    }

    /** With a limit every read seeks: upstream's stream gives garbage where a read failed and nothing seeks. */
    private String random(Pair pair, int count, long seed, int most, long limit) throws IOException {
        Random random = new Random(seed);
        int differences = 0;
        bytes = 0;
        long size = Math.min(limit, pair.theirs.available() + pair.theirs.getPos());
        for (int i = 0; i < count; i++) {
            long at = Math.min(near(random, size), Math.max(0, limit - 2L * most - 100_000));
            int length = random.nextInt(4) == 0 ? random.nextInt(most) + 1 : random.nextInt(300) + 1;
            int shift = random.nextInt(20);
            byte[] buffer = new byte[shift + length];
            Action action;
            switch (random.nextInt(8)) {
                case 0:
                    action = input -> {
                        input.seek(at);
                        return "" + input.read() + "@" + input.getPos();
                    };
                    break;
                case 1:
                    action = input -> {
                        input.seek(at);
                        int got = input.read(buffer, shift, length);
                        return shown(Arrays.copyOfRange(buffer, shift, shift + length), got) + "@" + input.getPos();
                    };
                    break;
                case 2:
                    action = input -> shown(buffer, input.read(at, buffer, 0, length)) + "@" + input.getPos();
                    break;
                case 3:
                    action = input -> {
                        input.readFully(at, buffer, 0, length);
                        return shown(buffer, length) + "@" + input.getPos();
                    };
                    break;
                case 4:
                    action = input -> {
                        input.seek(at);
                        return input.skip(length) + "@" + input.getPos() + "/" + input.available();
                    };
                    break;
                case 5:
                    action = input -> {
                        if (limit < Long.MAX_VALUE) {
                            input.seek(at);
                        }
                        return shown(buffer, input.read(buffer, 0, length)) + "@" + input.getPos();
                    };
                    break;
                case 6:
                    action = input -> {
                        List<FileRange> ranges = new ArrayList<>();
                        ranges.add(FileRange.createFileRange(at, length));
                        ranges.add(FileRange.createFileRange(at + length + 70_000, 500));
                        input.readVectored(ranges, ByteBuffer::allocate);
                        StringBuilder text = new StringBuilder();
                        for (FileRange range : ranges) {
                            byte[] got = new byte[range.getLength()];
                            range.getData().get().get(got);
                            text.append(shown(got, got.length));
                        }
                        return text.toString();
                    };
                    break;
                default:
                    long odd = random.nextInt(50) == 0 ? -5 : at;
                    action = input -> {
                        input.seek(odd);
                        return "" + input.read(buffer, 0, length > 200 ? length : 0);
                    };
            }
            differences += compare(pair, action, i);
        }
        return "reads " + count + " bytes " + bytes / 2 + " differences " + differences + " " + firstDifference;
    }

    private String threads(Pair pair, int count) throws Exception {
        AtomicLong differences = new AtomicLong();
        long size = pair.theirs.available() + pair.theirs.getPos();
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            Random random = new Random(t);
            Thread thread = new Thread(() -> {
                for (int i = 0; i < count; i++) {
                    byte[] mine = new byte[random.nextInt(200_000) + 1];
                    byte[] upstreams = new byte[mine.length];
                    long at = (long) (random.nextDouble() * (size - mine.length));
                    try {
                        int a = pair.ours.read(at, mine, 0, mine.length);
                        int b = pair.theirs.read(at, upstreams, 0, mine.length);
                        if (a != b || !Arrays.equals(mine, upstreams)) {
                            differences.incrementAndGet();
                        }
                    } catch (IOException failure) {
                        differences.incrementAndGet();
                    }
                }
            });
            thread.start();
            threads.add(thread);
            if (t == 0) {
                thread.interrupt();
            }
        }
        for (Thread thread : threads) {
            thread.join();
        }
        return "reads " + 4 * count + " bytes 0 differences " + differences;
    }

    private String scan(Pair pair) throws IOException {
        pair.ours.seek(0);
        pair.theirs.seek(0);
        Random random = new Random(1);
        int differences = 0;
        int reads = 0;
        bytes = 0;
        while (true) {
            byte[] mine = new byte[random.nextInt(3) == 0 ? random.nextInt(3_000_000) + 1 : random.nextInt(5000) + 1];
            byte[] upstreams = new byte[mine.length];
            int a = pair.ours.read(mine, 0, mine.length);
            int b = pair.theirs.read(upstreams, 0, mine.length);
            reads++;
            bytes += Math.max(0, a);
            if (a != b || !Arrays.equals(mine, upstreams)) {
                differences++;
            }
            if (a < 0 || b < 0) {
                return "reads " + reads + " bytes " + bytes + " differences " + differences;
            }
        }
    }

    private String time(FileSystem system, String path, int piece) throws IOException {
        byte[] buffer = new byte[piece];
        long start = System.nanoTime();
        long cpu = processCpuNs();
        long total = 0;
        try (FSDataInputStream input = system.open(new Path(path))) {
            for (int got = input.read(buffer, 0, piece); got > 0; got = input.read(buffer, 0, piece)) {
                total += got;
            }
        }
        return total + " " + (System.nanoTime() - start) + " " + (processCpuNs() - cpu);
    }

    private static long processCpuNs() {
        return ((com.sun.management.OperatingSystemMXBean)
            java.lang.management.ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }
}
