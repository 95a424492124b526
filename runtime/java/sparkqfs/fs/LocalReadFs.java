package sparkqfs.fs;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.EnumSet;

import com.quantcast.qfs.hadoop.Qfs;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FsServerDefaults;
import org.apache.hadoop.fs.Options.ChecksumOpt;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.DataChecksum;
import org.apache.hadoop.util.Progressable;

/**
 * The same for users of FileContext, such as checkpoints of structured streaming. What upstream does through the same calls
 * as its FileSystem is left to ours; renaming is ours, with the exceptions that Hadoop names for it; what else differs stays
 * upstream's, with names as they are stored.
 */
public class LocalReadFs extends Qfs {
    private static final int CHECKSUM_BYTES = 512;
    private static final int PACKET_BYTES = 65_536;

    private final LocalReadFileSystem fileSystem;

    public LocalReadFs(URI uri, Configuration conf) throws IOException, URISyntaxException {
        super(uri, conf);
        fileSystem = ours(FileSystem.get(uri, conf));
    }

    private static LocalReadFileSystem ours(FileSystem found) throws IOException {
        if (found instanceof LocalReadFileSystem ours) {
            return ours;
        }
        throw new IOException("fs.qfs.impl is " + found.getClass().getName() + "; fs.AbstractFileSystem.qfs.impl works with "
            + LocalReadFileSystem.class.getName());
    }

    @Override
    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        return fileSystem.open(path, bufferSize);
    }

    private Path storedNew(Path path) throws IOException {
        return with(path, StoredNames.ofNew(getUriPath(path)));
    }

    private static Path with(Path path, String text) {
        return new Path(path.toUri().getScheme(), path.toUri().getAuthority(), text);
    }

    /** Appending stays upstream's. */
    @Override
    public FSDataOutputStream createInternal(
            Path path, EnumSet<CreateFlag> flags, FsPermission permission, int bufferSize, short replication,
            long blockSize, Progressable progress, ChecksumOpt checksum, boolean createParent) throws IOException {
        if (flags.contains(CreateFlag.APPEND)) {
            CreateFlag.validate(flags);
            if (createParent) { // upstream's would make the parent's stored path with another call of this class
                mkdir(path.getParent(), permission, true);
            }
            return super.createInternal(
                storedNew(path), flags, permission, bufferSize, replication, blockSize, progress, checksum, false);
        }
        CreateFlag.validate(flags);
        checkPath(path);
        boolean overwrite = flags.contains(CreateFlag.OVERWRITE);
        if (createParent) {
            return fileSystem.create(path, permission, overwrite, bufferSize, replication, blockSize, progress);
        }
        return fileSystem.createNonRecursive(path, permission, overwrite, bufferSize, replication, blockSize, progress);
    }

    /** FileContext takes the number of copies from here. */
    @Override
    public FsServerDefaults getServerDefaults(Path path) throws IOException {
        return new FsServerDefaults(
            fileSystem.getDefaultBlockSize(path), CHECKSUM_BYTES, PACKET_BYTES, fileSystem.getDefaultReplication(path),
            PACKET_BYTES, false, 0, DataChecksum.Type.NULL);
    }

    @Override
    public void mkdir(Path directory, FsPermission permission, boolean createParent) throws IOException {
        super.mkdir(storedNew(directory), permission, createParent);
    }

    @Override
    public void renameInternal(Path source, Path target) throws IOException {
        renameInternal(source, target, false);
    }

    /** In one step, also over what is there; upstream's removes that first, and a reader may find neither. */
    @Override
    public void renameInternal(Path source, Path target, boolean overwrite) throws IOException {
        getUriPath(source); // refuses what Hadoop does not take as a name here
        getUriPath(target);
        fileSystem.move(source, target, overwrite);
    }

    @Override
    public boolean delete(Path path, boolean recursive) throws IOException {
        return fileSystem.delete(path, recursive);
    }

    @Override
    public FileStatus getFileStatus(Path path) throws IOException {
        return fileSystem.getFileStatus(path);
    }

    @Override
    public FileStatus getFileLinkStatus(Path path) throws IOException {
        return fileSystem.getFileLinkStatus(path);
    }

    @Override
    public FileStatus[] listStatus(Path path) throws IOException {
        return fileSystem.listStatus(path);
    }

    @Override
    public BlockLocation[] getFileBlockLocations(Path path, long start, long length) throws IOException {
        return fileSystem.getFileBlockLocations(fileSystem.getFileStatus(path), start, length);
    }

    @Override
    public FileChecksum getFileChecksum(Path path) throws IOException {
        return fileSystem.getFileChecksum(path);
    }

    @Override
    public void setOwner(Path path, String user, String group) throws IOException {
        fileSystem.setOwner(path, user, group);
    }

    @Override
    public void setPermission(Path path, FsPermission permission) throws IOException {
        fileSystem.setPermission(path, permission);
    }

    @Override
    public boolean setReplication(Path path, short replication) throws IOException {
        return fileSystem.setReplication(path, replication);
    }

    @Override
    public void setTimes(Path path, long modified, long accessed) throws IOException {
        fileSystem.setTimes(path, modified, accessed);
    }

    @Override
    public Path getLinkTarget(Path path) throws IOException {
        return fileSystem.getLinkTarget(path);
    }

    @Override
    public void createSymlink(Path target, Path link, boolean createParent) throws IOException {
        fileSystem.createSymlink(target, link, createParent);
    }
}
