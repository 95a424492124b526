package sparkqfs.copy;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.deploy.SparkHadoopUtil;
import org.apache.spark.sql.api.java.UDF3;
import sparkqfs.files.Disk;

/**
 * Copies one file between two Hadoop file systems, in an executor: (source, target, overwrite) to
 * "state TAB bytes TAB SHA-256 TAB message". States: copied, unchanged (the same bytes are there), differs (other bytes
 * are there and overwrite is false), failed. The target appears whole or not at all, after it was read back.
 */
public final class CopyFile implements UDF3<String, String, Boolean, String> {
    private static final long serialVersionUID = 1L;
    private static final int BUFFER_BYTES = 1 << 20;
    /** Of a name in the name of a hidden file beside it, so that a long name does not get too long. */
    private static final int LETTERS = 30;

    @Override
    public String call(String source, String target, Boolean overwrite) {
        try {
            return copy(new Path(source), new Path(target), overwrite, configuration());
        } catch (Exception error) {
            String why = error.getClass().getSimpleName() + ": " + error.getMessage();
            return answer("failed", 0, "", why.replaceAll("\\s+", " "));
        }
    }

    /** The cluster's settings: an executor's own Hadoop configuration lacks the lines spark.hadoop.*. */
    private static Configuration configuration() {
        return SparkHadoopUtil.get().newConfiguration(SparkEnv.get().conf());
    }

    static String copy(Path source, Path target, boolean overwrite, Configuration conf) throws IOException {
        FileSystem from = source.getFileSystem(conf);
        FileSystem to = target.getFileSystem(conf);
        to.setWriteChecksum(false); // no .crc files beside the copies on a local file system
        FileStatus before = from.getFileStatus(source);
        FileStatus there = statusOrNull(to, target);
        if (there != null && there.isDirectory()) {
            return answer("failed", 0, "", "a directory of this name is there");
        }
        if (there != null && there.getLen() == before.getLen()) {
            String sum = digest(from, source);
            if (sum.equals(digest(to, target))) {
                return answer("unchanged", before.getLen(), sum, "");
            }
        }
        if (there != null && !overwrite) {
            return answer("differs", before.getLen(), "", "another file of this name is there");
        }
        Path part = beside(target, UUID.randomUUID() + ".copying"); // another attempt may be at work on the same target
        boolean whole = false;
        try {
            String sum = transfer(from, source, to, part);
            if (!sum.equals(digest(to, part))) {
                throw new IOException("the copy reads back with other bytes");
            }
            FileStatus after = from.getFileStatus(source);
            if (after.getLen() != before.getLen() || after.getModificationTime() != before.getModificationTime()) {
                throw new IOException("the file changed while it was copied");
            }
            Disk.sync(to, part);
            replace(to, part, target, there != null);
            whole = true;
            Disk.sync(to, target.getParent());
            return answer("copied", before.getLen(), sum, "");
        } finally {
            if (!whole) {
                to.delete(part, false);
            }
        }
    }

    /** Gives the part its name; the file that has it comes back when that fails. */
    private static void replace(FileSystem to, Path part, Path target, boolean isThere) throws IOException {
        Path old = beside(target, UUID.randomUUID() + ".old");
        if (isThere && !to.rename(target, old)) {
            throw new IOException("the old file cannot be moved away");
        }
        if (!to.rename(part, target)) {
            if (isThere) {
                to.rename(old, target);
            }
            throw new IOException("cannot be renamed from " + part.getName());
        }
        if (isThere) {
            to.delete(old, false);
        }
    }

    /** A hidden file in the target's directory. Made of parts, because a name may hold a colon. */
    private static Path beside(Path target, String end) {
        String name = target.getName();
        int letters = Math.min(LETTERS, name.codePointCount(0, name.length()));
        String begin = name.substring(0, name.offsetByCodePoints(0, letters));
        return new Path(target.getParent(), new Path(null, null, "." + begin + "." + end));
    }

    private static String answer(String state, long bytes, String sum, String message) {
        return state + "\t" + bytes + "\t" + sum + "\t" + message;
    }

    private static FileStatus statusOrNull(FileSystem system, Path path) throws IOException {
        try {
            return system.getFileStatus(path);
        } catch (FileNotFoundException absent) {
            return null;
        }
    }

    private static String transfer(FileSystem from, Path source, FileSystem to, Path part) throws IOException {
        MessageDigest digest = sha256();
        byte[] buffer = new byte[BUFFER_BYTES];
        try (InputStream in = from.open(source);
                OutputStream out = to.create(part, true)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                digest.update(buffer, 0, count);
                out.write(buffer, 0, count);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static String digest(FileSystem system, Path path) throws IOException {
        MessageDigest digest = sha256();
        byte[] buffer = new byte[BUFFER_BYTES];
        try (InputStream in = system.open(path)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                digest.update(buffer, 0, count);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
