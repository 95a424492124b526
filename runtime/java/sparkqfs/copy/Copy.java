package sparkqfs.copy;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import sparkqfs.files.Digests;
import sparkqfs.files.Part;

/** One file from one Hadoop file system to another. */
final class Copy {
    private Copy() {
    }

    /** The answer that {@link CopyFile} promises. What is left of an attempt that was killed is known by its end. */
    static String of(Path source, Path target, boolean overwrite, long endSeconds, Configuration conf)
            throws IOException {
        FileSystem from = source.getFileSystem(conf);
        FileSystem to = target.getFileSystem(conf);
        to.setWriteChecksum(false); // no .crc files beside the copies on a local file system
        FileStatus before = from.getFileStatus(source);
        FileStatus there = Digests.statusOrNull(to, target);
        if (there != null && there.isDirectory()) {
            return answer("failed", 0, "", "a directory of this name is there");
        }
        if (there != null && there.getLen() == before.getLen()) {
            String sum = Digests.of(from, source);
            if (sum.equals(Digests.of(to, target))) {
                return answer("unchanged", before.getLen(), sum, "");
            }
        }
        if (there != null && !overwrite) {
            return differs(before);
        }
        try (Part part = new Part(to, target, endSeconds)) { // another attempt may be at work on the same target
            String sum = transfer(from, source, part);
            FileStatus after = from.getFileStatus(source);
            if (after.getLen() != before.getLen() || after.getModificationTime() != before.getModificationTime()) {
                throw new IOException("the file changed while it was copied");
            }
            String state = part.finish(sum, overwrite);
            return state.equals("differs") ? differs(before) : answer(state, before.getLen(), sum, "");
        }
    }

    private static String differs(FileStatus source) {
        return answer("differs", source.getLen(), "", "another file of this name is there");
    }

    static String answer(String state, long bytes, String sum, String message) {
        return state + "\t" + bytes + "\t" + sum + "\t" + message;
    }

    private static String transfer(FileSystem from, Path source, Part part) throws IOException {
        MessageDigest digest = Digests.sha256();
        byte[] buffer = new byte[Digests.BUFFER_BYTES];
        try (InputStream in = from.open(source)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                digest.update(buffer, 0, count);
                part.write(buffer, count);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
