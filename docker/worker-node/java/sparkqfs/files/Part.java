package sparkqfs.files;

import java.io.IOException;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.UUID;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** A file in the making, under a hidden name beside its target; gone unless it was given the target's name. */
final class Part implements AutoCloseable {
    /** Then the second in which nobody writes it any more, and something unique. */
    static final String PREFIX = ".sparkqfs-part-";
    private static final String OLD = ".sparkqfs-old-";
    private static final long SLACK_S = 3600;

    private final FileSystem system;
    private final Path target;
    private final Path path;
    private final MessageDigest digest = Digests.sha256();
    private OutputStream out;
    private long size;
    private boolean isThere = true;

    Part(FileSystem system, Path target, long endSeconds) throws IOException {
        this.system = system;
        this.target = target;
        path = beside(PREFIX + endSeconds);
        out = system.create(path, true);
    }

    void write(byte[] data) throws IOException {
        digest.update(data);
        out.write(data);
        size += data.length;
    }

    /**
     * Compares what was written and what reads back with the sum; gives the part its name. The state: copied,
     * unchanged (the same bytes are there), differs (others are there and must stay).
     */
    String finish(String sum, boolean overwrite, Wire wire) throws IOException {
        out.close();
        out = null;
        String received = HexFormat.of().formatHex(digest.digest());
        if (!received.equals(sum)) {
            throw new IOException("other bytes arrived than were sent");
        }
        FileStatus there = Digests.statusOrNull(system, target);
        if (there != null && there.isDirectory()) {
            throw new IOException("a directory of this name is there");
        }
        if (there != null && there.getLen() == size && hasSum(sum, wire)) {
            return "unchanged";
        }
        if (there != null && !overwrite) {
            return "differs";
        }
        if (system.getFileStatus(path).getLen() != size || !sum.equals(Digests.of(system, path, wire))) {
            throw new IOException("the copy reads back with other bytes");
        }
        rename(there != null);
        isThere = false;
        return "copied";
    }

    /** Of the file that is there. One that cannot be read is another one, and may be replaced. */
    private boolean hasSum(String sum, Wire wire) {
        try {
            return sum.equals(Digests.of(system, target, wire));
        } catch (IOException unreadable) {
            System.err.println("file-server: " + target + ": " + unreadable.getMessage());
            return false;
        }
    }

    long size() {
        return size;
    }

    /** The file that has the name comes back when the renaming fails. */
    private void rename(boolean replaces) throws IOException {
        Path old = beside(OLD);
        if (replaces && !system.rename(target, old)) {
            throw new IOException("the old file cannot be moved away");
        }
        if (!system.rename(path, target)) {
            if (replaces) {
                system.rename(old, target);
            }
            throw new IOException(Names.whyNot(target));
        }
        if (replaces) {
            system.delete(old, false);
        }
    }

    private Path beside(String start) {
        return new Path(target.getParent(), start + "-" + UUID.randomUUID().toString().substring(0, 8));
    }

    /** Never fails: what went wrong is known already. A part that stays is removed by {@link #sweep}. */
    @Override
    public void close() {
        try {
            if (out != null) {
                out.close();
            }
        } catch (IOException failure) {
            System.err.println("file-server: " + path + ": " + failure.getMessage());
        }
        try {
            if (isThere) {
                system.delete(path, false);
            }
        } catch (IOException failure) {
            System.err.println("file-server: " + path + " stays: " + failure.getMessage());
        }
    }

    /** Removes parts whose writers were ended by force; how many. */
    static int sweep(FileSystem system, Path directory) throws IOException {
        int removed = 0;
        for (FileStatus item : system.listStatus(directory)) {
            String name = item.getPath().getName();
            if (item.isFile() && name.matches("\\.sparkqfs-part-[0-9]{1,15}-[0-9a-f]{8}")) {
                long end = Long.parseLong(name.substring(PREFIX.length(), name.lastIndexOf('-')));
                if (end + SLACK_S < System.currentTimeMillis() / 1000 && system.delete(item.getPath(), false)) {
                    removed++;
                }
            }
        }
        return removed;
    }
}
