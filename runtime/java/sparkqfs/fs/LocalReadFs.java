package sparkqfs.fs;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.EnumSet;
import java.util.List;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.AbstractFileSystem;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FsServerDefaults;
import org.apache.hadoop.fs.FsStatus;
import org.apache.hadoop.fs.Options.ChecksumOpt;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.security.token.Token;
import org.apache.hadoop.util.DataChecksum;
import org.apache.hadoop.util.Progressable;

/**
 * The same for users of FileContext, such as checkpoints of structured streaming and the log of a Delta table. All goes
 * through our FileSystem, of which a process has one: FileContext is made again for each commit, and upstream's class
 * would have a client of its own each time, a thread and seven open files until Java collects its garbage.
 */
public class LocalReadFs extends AbstractFileSystem {
    private static final String SCHEME = "qfs";
    private static final int PORT = 20_000;
    private static final int CHECKSUM_BYTES = 512;
    private static final int PACKET_BYTES = 65_536;

    private final LocalReadFileSystem fileSystem;

    public LocalReadFs(URI uri, Configuration conf) throws IOException, URISyntaxException {
        super(uri, SCHEME, true, PORT);
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

    @Override
    public int getUriDefaultPort() {
        return PORT;
    }

    @Override
    public FSDataOutputStream createInternal(
            Path path, EnumSet<CreateFlag> flags, FsPermission permission, int bufferSize, short replication,
            long blockSize, Progressable progress, ChecksumOpt checksum, boolean createParent) throws IOException {
        CreateFlag.validate(flags);
        getUriPath(path);
        boolean overwrite = flags.contains(CreateFlag.OVERWRITE);
        if (flags.contains(CreateFlag.APPEND)) {
            if (createParent) {
                mkdir(path.getParent(), permission, true);
            }
            return fileSystem.appendOrCreate(path, replication, bufferSize, overwrite, permission.toShort());
        }
        if (createParent) {
            return fileSystem.create(path, permission, overwrite, bufferSize, replication, blockSize, progress);
        }
        return fileSystem.createNonRecursive(path, permission, overwrite, bufferSize, replication, blockSize, progress);
    }

    @Override
    @Deprecated
    public FsServerDefaults getServerDefaults() throws IOException {
        return getServerDefaults(new Path("/"));
    }

    /** Upstream knows nothing of this. */
    @Override
    public FsStatus getFsStatus() {
        return new FsStatus(0, 0, 0);
    }

    @Override
    public boolean supportsSymlinks() {
        return fileSystem.supportsSymlinks();
    }

    @Override
    public void setVerifyChecksum(boolean verify) {
        fileSystem.setVerifyChecksum(verify);
    }

    @Override
    public List<Token<?>> getDelegationTokens(String renewer) throws IOException {
        Token<?> token = fileSystem.getDelegationToken(renewer);
        return token == null ? List.of() : List.of(token);
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
        getUriPath(directory);
        fileSystem.makeDirectory(directory, permission.toShort(), createParent);
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
