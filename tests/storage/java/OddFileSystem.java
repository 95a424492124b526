import java.io.IOException;
import java.nio.file.Files;
import java.util.stream.IntStream;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.functional.RemoteIterators;

/** Plain files with a storage's moods: settings that begin with fs.odd. */
public class OddFileSystem extends RawLocalFileSystem {
    /**
     * With {@code replaces=false} a name that is taken stays; with {@code halts} a file that has lost its name is the
     * end; with {@code throws} what was written gets no name.
     */
    @Override
    public boolean rename(Path from, Path to) throws IOException {
        if (getConf().getBoolean("fs.odd.throws", false) && from.getName().contains("part-")
                && !pathToFile(to).exists()) {
            throw new IOException("the connection broke");
        }
        if (pathToFile(to).exists() && !getConf().getBoolean("fs.odd.replaces", true)) {
            return false;
        }
        boolean done = super.rename(from, to);
        if (getConf().getBoolean("fs.odd.halts", false) && !from.getName().startsWith(".")) {
            Runtime.getRuntime().halt(9);
        }
        return done;
    }

    /** With {@code taken} another user takes the name `name` while a part is read back. */
    @Override
    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        if (getConf().getInt("fs.odd.taken", 0) > 0 && path.getName().startsWith(".sparkqfs-part-")) {
            Files.writeString(pathToFile(new Path(path.getParent(), "name")).toPath(), "another's");
        }
        return super.open(path, bufferSize);
    }

    /** With {@code keeps} hidden files stay; {@code sleeps} are milliseconds before. */
    @Override
    public boolean delete(Path path, boolean deep) throws IOException {
        if (getConf().getBoolean("fs.odd.keeps", false) && path.getName().startsWith(".")) {
            throw new IOException("it stays");
        }
        try {
            Thread.sleep(getConf().getLong("fs.odd.sleeps", 0));
        } catch (InterruptedException ended) {
            throw new IOException(ended);
        }
        return super.delete(path, deep);
    }

    /** With {@code many} a pattern matches so many files with long names. */
    @Override
    public FileStatus[] globStatus(Path pattern) throws IOException {
        int many = getConf().getInt("fs.odd.many", 0);
        return many == 0 ? super.globStatus(pattern)
            : IntStream.range(0, many).mapToObj(number -> one(pattern.getParent(), number)).toArray(FileStatus[]::new);
    }

    /** With {@code many} so many are in each directory, of which nobody has to know all at once. */
    @Override
    public RemoteIterator<FileStatus> listStatusIterator(Path path) throws IOException {
        int many = getConf().getInt("fs.odd.many", 0);
        return many == 0 ? super.listStatusIterator(path) : RemoteIterators.remoteIteratorFromIterator(
            IntStream.range(0, many).mapToObj(number -> one(path, number)).iterator());
    }

    @Override
    public FileStatus[] listStatus(Path path) throws IOException {
        return getConf().getInt("fs.odd.many", 0) == 0 ? super.listStatus(path) : globStatus(new Path(path, "*"));
    }

    private static FileStatus one(Path directory, int number) {
        Path path = new Path(directory, String.format("%0250d", number));
        return new FileStatus(1, false, 1, 1, 0, 0, FsPermission.getFileDefault(), "me", "us", path);
    }
}
