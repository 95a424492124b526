package sparkqfs.fs;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.EnumSet;

import com.quantcast.qfs.hadoop.Qfs;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FsServerDefaults;
import org.apache.hadoop.fs.Options.ChecksumOpt;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.DataChecksum;
import org.apache.hadoop.util.Progressable;

/** The same for users of FileContext, such as checkpoints of structured streaming. */
public class LocalReadFs extends Qfs {
    private static final int CHECKSUM_BYTES = 512;
    private static final int PACKET_BYTES = 65_536;

    private final FileSystem fileSystem;

    public LocalReadFs(URI uri, Configuration conf) throws IOException, URISyntaxException {
        super(uri, conf);
        fileSystem = FileSystem.get(uri, conf);
    }

    @Override
    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        return fileSystem.open(path, bufferSize);
    }

    /** Appending stays upstream's. */
    @Override
    public FSDataOutputStream createInternal(
            Path path, EnumSet<CreateFlag> flags, FsPermission permission, int bufferSize, short replication,
            long blockSize, Progressable progress, ChecksumOpt checksum, boolean createParent) throws IOException {
        if (flags.contains(CreateFlag.APPEND)) {
            return super.createInternal(
                path, flags, permission, bufferSize, replication, blockSize, progress, checksum, createParent);
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
}
