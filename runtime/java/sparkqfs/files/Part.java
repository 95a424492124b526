package sparkqfs.files;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.ChecksumFileSystem;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.hdfs.DistributedFileSystem;

/** A file in the making, under a hidden name beside its target; gone unless it was given the target's name. */
public final class Part implements AutoCloseable {
    /** Then the second in which nobody writes it any more, and something unique. */
    private static final String PREFIX = ".sparkqfs-part-";
    /** The same, then the name that the file had and is to get back when nothing took it. */
    private static final String OLD = ".sparkqfs-old-";
    private static final Pattern LEFT = Pattern.compile(
        "\\.sparkqfs-(?:part-(?<part>[0-9]{1,15})-[0-9a-f]{8}|old-(?<old>[0-9]{1,15})-[0-9a-f]{8}-(?<name>.+))",
        Pattern.DOTALL);
    private static final long SLACK_S = 3600;

    private final FileSystem system;
    private final Path target;
    private final String unique;
    private final Path path;
    private final MessageDigest digest = Digests.sha256();
    private final List<Path> above;
    private OutputStream out;
    private long size;
    private boolean isThere = true;

    /** {@code endSeconds}: in which nobody writes it any more, since the epoch. */
    public Part(FileSystem system, Path target, long endSeconds) throws IOException {
        this.system = system;
        this.target = target;
        unique = endSeconds + "-" + UUID.randomUUID().toString().substring(0, 8);
        path = sibling(target, PREFIX + unique);
        above = Disk.aboveMissing(system, target.getParent()); // create makes them
        out = system.create(path, true);
    }

    void write(byte[] data) throws IOException {
        write(data, data.length);
    }

    /** The first bytes of a buffer. */
    public void write(byte[] buffer, int count) throws IOException {
        digest.update(buffer, 0, count);
        out.write(buffer, 0, count);
        size += count;
    }

    /**
     * Compares what was written and what reads back with the sum; gives the part its name. The state: copied,
     * unchanged (the same bytes are there), differs (others are there and must stay).
     */
    public String finish(String sum, boolean overwrite) throws IOException {
        out.close();
        out = null;
        String received = HexFormat.of().formatHex(digest.digest());
        if (!received.equals(sum)) {
            throw new IOException("other bytes arrived than were sent");
        }
        FileStatus there = fileThere();
        if (there != null && isSame(there, sum)) {
            return "unchanged";
        }
        if (there != null && !overwrite) {
            return "differs";
        }
        if (system.getFileStatus(path).getLen() != size || !sum.equals(Digests.of(system, path))) {
            throw new IOException("the copy reads back with other bytes");
        }
        there = fileThere(); // reading back takes long: the name may be taken by now
        if (there != null && !overwrite) {
            return isSame(there, sum) ? "unchanged" : "differs";
        }
        Disk.sync(system, path);
        rename(there != null);
        isThere = false;
        Disk.sync(system, target.getParent());
        Disk.sync(system, above);
        return "copied";
    }

    /** Null where the name is free. */
    private FileStatus fileThere() throws IOException {
        FileStatus there = Digests.statusOrNull(system, target);
        if (there != null && there.isDirectory()) {
            throw new IOException("a directory of this name is there");
        }
        return there;
    }

    /** Whether it has the same bytes. One that cannot be read is another one, and may be replaced. */
    private boolean isSame(FileStatus there, String sum) {
        try {
            return there.getLen() == size && sum.equals(Digests.of(system, target));
        } catch (IOException unreadable) {
            System.err.println("sparkqfs: " + target + ": " + unreadable.getMessage());
            return false;
        }
    }

    long size() {
        return size;
    }

    /** A file that has the name is replaced in one step, as HDFS, QFS and plain files can. */
    private void rename(boolean replaces) throws IOException {
        if (replaces && system instanceof DistributedFileSystem hdfs) {
            hdfs.rename(path, target, Options.Rename.OVERWRITE);
            return;
        }
        if (replaces && system instanceof ChecksumFileSystem checked) { // sums of the old bytes: nobody could read the new
            checked.getRawFileSystem().delete(checked.getChecksumFile(target), false);
        }
        if (isRenamed()) {
            return;
        }
        if (!replaces) {
            throw new IOException(Names.NOT_TAKEN);
        }
        swap();
    }

    private boolean isRenamed() throws IOException {
        try {
            return system.rename(path, target);
        } catch (FileAlreadyExistsException taken) {
            return false;
        }
    }

    /** Other storages: for a moment nothing has the name. The old file gets it back, here or by {@link #sweep}. */
    private void swap() throws IOException {
        Path old = sibling(target, OLD + unique + "-" + target.getName());
        if (!system.rename(target, old)) {
            throw new IOException("the old file cannot be moved away");
        }
        boolean isDone = false;
        try {
            isDone = system.rename(path, target);
        } finally {
            if (!isDone) {
                system.rename(old, target);
            }
        }
        if (!isDone) {
            throw new IOException(Names.NOT_TAKEN);
        }
        try {
            system.delete(old, false);
        } catch (IOException failure) { // the new file is there, and that was what was asked for
            System.err.println("sparkqfs: " + old + " stays: " + failure.getMessage());
        }
    }

    /** In parts, because a name may hold a colon. */
    private static Path sibling(Path path, String name) {
        URI uri = path.getParent().toUri();
        return new Path(uri.getScheme(), uri.getAuthority(), uri.getPath() + "/" + name);
    }

    /** Never fails: what went wrong is known already. A part that stays is removed by {@link #sweep}. */
    @Override
    public void close() {
        try {
            if (out != null) {
                out.close();
            }
        } catch (IOException failure) {
            System.err.println("sparkqfs: " + path + ": " + failure.getMessage());
        }
        try {
            if (isThere) {
                system.delete(path, false);
            }
        } catch (IOException failure) {
            System.err.println("sparkqfs: " + path + " stays: " + failure.getMessage());
        }
    }

    /** Of writers that were ended by force: removes parts, and old files unless their name is free; how many. */
    public static int sweep(FileSystem system, Path directory) throws IOException {
        int swept = 0;
        RemoteIterator<FileStatus> items = system.listStatusIterator(directory);
        while (items.hasNext()) {
            FileStatus item = items.next();
            Matcher left = LEFT.matcher(item.getPath().getName());
            if (item.isFile() && left.matches() && isOver(left) && mend(system, item.getPath(), left.group("name"))) {
                swept++;
            }
        }
        return swept;
    }

    private static boolean isOver(Matcher left) {
        String end = left.group("part") == null ? left.group("old") : left.group("part");
        return Long.parseLong(end) + SLACK_S < System.currentTimeMillis() / 1000;
    }

    private static boolean mend(FileSystem system, Path path, String name) throws IOException {
        Path target = name == null ? null : sibling(path, name);
        boolean isFree = target != null && Digests.statusOrNull(system, target) == null;
        return isFree ? system.rename(path, target) : system.delete(path, false);
    }
}
