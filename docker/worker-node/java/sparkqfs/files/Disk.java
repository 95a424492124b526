package sparkqfs.files;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.StandardOpenOption;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * What is answered for is on the disk. Storages with daemons see to that themselves; on a file system that the machine
 * mounts nobody does.
 */
public final class Disk {
    private Disk() {
    }

    /** A file's bytes, or the names in a directory; nothing where the storage has daemons. */
    public static void sync(FileSystem system, Path path) throws IOException {
        if (!"file".equals(system.getUri().getScheme())) {
            return;
        }
        try (FileChannel channel = FileChannel.open(java.nio.file.Path.of(path.toUri().getPath()),
                StandardOpenOption.READ)) {
            channel.force(true);
        } catch (AccessDeniedException notToBeRead) { // a directory that may be written only
            if (!system.getFileStatus(path).isDirectory()) {
                throw notToBeRead;
            }
        }
    }
}
