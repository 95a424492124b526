package sparkqfs.files;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * What is answered for is on the disk. Storages with daemons see to that themselves; on a file system that the machine
 * mounts nobody does.
 */
public final class Disk {
    private Disk() {
    }

    private static boolean isMounted(FileSystem system) {
        return "file".equals(system.getUri().getScheme());
    }

    /** The directories that get new names when this one is made; none where the storage has daemons. */
    static List<Path> aboveMissing(FileSystem system, Path path) throws IOException {
        List<Path> above = new ArrayList<>();
        for (Path one = path; isMounted(system) && !one.isRoot() && !system.exists(one); one = one.getParent()) {
            above.add(one.getParent());
        }
        return above;
    }

    /** A directory and those above it that are missing. False when it cannot be made. */
    public static boolean makeDirectories(FileSystem system, Path path) throws IOException {
        List<Path> above = aboveMissing(system, path);
        return system.mkdirs(path) && sync(system, above);
    }

    /** True, for whoever goes on with that. */
    static boolean sync(FileSystem system, List<Path> paths) throws IOException {
        for (Path path : paths) {
            sync(system, path);
        }
        return true;
    }

    /** A file's bytes, or the names in a directory; nothing where the storage has daemons. */
    public static void sync(FileSystem system, Path path) throws IOException {
        if (!isMounted(system)) {
            return;
        }
        try (FileChannel channel = FileChannel.open(java.nio.file.Path.of(path.toUri().getPath()),
                StandardOpenOption.READ)) {
            channel.force(true);
        } catch (AccessDeniedException notToBeRead) { // a directory that may be written only
            if (!system.getFileStatus(path).isDirectory()) {
                throw notToBeRead;
            }
        } catch (IOException failed) { // as in durable.py: some file systems have nothing to sync in a directory
            String said = String.valueOf(failed.getMessage());
            if (!said.contains("Invalid argument") && !said.contains("not supported")) {
                throw failed;
            }
        }
    }
}
