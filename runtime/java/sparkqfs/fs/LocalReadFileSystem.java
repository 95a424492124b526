package sparkqfs.fs;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

import com.quantcast.qfs.access.KfsFileAttr;
import com.quantcast.qfs.hadoop.OpenQuantcastFileSystem;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathFilter;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * Upstream's Hadoop file system, except that it reads chunks of this node from the disk and writes the number of
 * copies that it is told. {@code fs.qfs.localRead=false} makes it read as upstream does.
 */
public class LocalReadFileSystem extends OpenQuantcastFileSystem {
    private static final String LOCAL_READ = "fs.qfs.localRead";
    private static final String CREATE_PARAMS = "fs.qfs.createParams";
    private static final String ALL_HOSTS = "fs.qfs.allHosts";
    private static final String CLOSE_WAITS = "fs.qfs.closeWaits";
    private static final String COPIES_WAIT_S = "fs.qfs.copiesWait";
    private static final short UPSTREAM_COPIES = 2;

    /** Null where nothing is read from the disk: no chunkserver here, or switched off. */
    private LocalReplicas replicas;
    /** Null where a close does not wait. */
    private FinishedChunks chunks;
    private Rights rights;
    private String createParams;
    private boolean namesAllHosts;

    @Override
    public void initialize(URI name, Configuration conf) throws IOException {
        super.initialize(name, conf);
        createParams = conf.getTrimmed(CREATE_PARAMS, "");
        namesAllHosts = conf.getBoolean(ALL_HOSTS, !conf.getBoolean(LOCAL_READ, true));
        boolean isNamed = name.getHost() != null;
        String host = isNamed ? name.getHost() : conf.get("fs.qfs.metaServerHost", "");
        int port = isNamed ? name.getPort() : conf.getInt("fs.qfs.metaServerPort", -1);
        if (conf.getBoolean(CLOSE_WAITS, true)) {
            long copiesMs = TimeUnit.SECONDS.toMillis(conf.getLong(COPIES_WAIT_S, 30));
            chunks = new FinishedChunks(new Metaserver(host, port), copiesMs);
        }
        if (conf.getBoolean(LOCAL_READ, true) && LocalReplicas.areHere()) {
            replicas = new LocalReplicas(host, port);
            rights = Rights.of(conf);
        }
    }

    @Override
    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        if (replicas == null) {
            return super.open(path, bufferSize);
        }
        // Equal before and after: the file that upstream has opened. Its own open looks into the same cache. If it was
        // another one for a moment, one that this user may read, this one is still not read without their rights.
        KfsFileAttr before = attributes(path);
        FSDataInputStream upstream = super.open(path, bufferSize);
        try {
            KfsFileAttr after = attributes(path);
            boolean isSure = before.fileId == after.fileId && before.filesize == after.filesize
                && !after.isDirectory && upstream.available() == (int) after.filesize && rights.mayRead(after);
            if (!isSure || isStriped(after)) {
                ReadCounters.count(isSure ? Doubt.Reason.STRIPED : Doubt.Reason.FILE);
                return new FSDataInputStream(new FallbackInputStream(upstream));
            }
            return new FSDataInputStream(
                new LocalReadInputStream(upstream, after.fileId, after.filesize, replicas, statistics));
        } catch (IOException | RuntimeException failure) {
            upstream.close();
            throw failure;
        }
    }

    /** Whether a host has a part of a block only: Reed-Solomon, or blocks in an object store. */
    public boolean isStriped(Path path) throws IOException {
        return isStriped(attributes(path));
    }

    private static boolean isStriped(KfsFileAttr file) {
        return file.striperType != KfsFileAttr.STRIPED_FILE_TYPE_NONE || file.replication <= 0;
    }

    /** For schedulers: see {@link Neighbours}. {@code fs.qfs.allHosts=true} gives every host that has a chunk. */
    @Override
    public BlockLocation[] getFileBlockLocations(FileStatus file, long start, long length) throws IOException {
        // Upstream adds the two, and Spark may ask for all there is.
        long wanted = file == null || start < 0 ? length : Math.min(length, Math.max(0, file.getLen() - start));
        if (namesAllHosts || wanted <= 0) {
            return located(file, start, wanted);
        }
        BlockLocation[] whole = located(file, 0, file.getLen());
        return whole == null ? null : Neighbours.prefer(whole, start, start + wanted);
    }

    /** As upstream, but every block with its own hosts; upstream names those of the first one right. */
    private BlockLocation[] located(FileStatus file, long start, long length) throws IOException {
        boolean isUpstreams = file == null || file.isDirectory() || start < 0 || length <= 0;
        if (isUpstreams || start / ChunkFile.CHUNK_BYTES == (start + length - 1) / ChunkFile.CHUNK_BYTES) {
            return super.getFileBlockLocations(file, start, length);
        }
        try {
            if (isStriped(file.getPath())) {
                return locatedOneByOne(file, start, length);
            }
        } catch (FileNotFoundException gone) {
            return null;
        }
        String[][] hosts = chunkHosts(file.getPath(), start, length);
        if (hosts == null) {
            return super.getFileBlockLocations(file, start, length);
        }
        List<BlockLocation> found = new ArrayList<>();
        long from = start;
        for (int index = 0; from < start + length; index++) {
            long to = Math.min(start + length, (from / ChunkFile.CHUNK_BYTES + 1) * ChunkFile.CHUNK_BYTES);
            String[] owners = index < hosts.length ? withoutPorts(hosts[index]) : null;
            found.add(new BlockLocation(null, owners, from, to - from));
            from = to;
        }
        return found.toArray(BlockLocation[]::new);
    }

    private BlockLocation[] locatedOneByOne(FileStatus file, long start, long length) throws IOException {
        BlockLocation[] blocks = super.getFileBlockLocations(file, start, length);
        for (int index = 1; blocks != null && index < blocks.length; index++) {
            BlockLocation[] own = super.getFileBlockLocations(file, blocks[index].getOffset(), 1);
            blocks[index].setHosts(own == null ? null : own[0].getHosts());
        }
        return blocks;
    }

    private static String[] withoutPorts(String[] places) {
        return Arrays.stream(places).map(place -> place.substring(0, place.lastIndexOf(':'))).distinct()
            .toArray(String[]::new);
    }

    @Override
    public FileStatus[] globStatus(Path pattern) throws IOException {
        return globStatus(pattern, path -> true);
    }

    /** Also where a name has a colon, with which Hadoop's own way fails for the whole directory. */
    @Override
    public FileStatus[] globStatus(Path pattern, PathFilter filter) throws IOException {
        try {
            return super.globStatus(pattern, filter);
        } catch (IllegalArgumentException failure) {
            if (!(failure.getCause() instanceof URISyntaxException)) {
                throw failure;
            }
            return ColonNames.matched(this, pattern, filter);
        }
    }

    /** The copies of {@code fs.qfs.createParams}, which upstream does not look at. */
    @Override
    @Deprecated
    public short getDefaultReplication() {
        try {
            return Short.parseShort(createParams);
        } catch (NumberFormatException striped) {
            return UPSTREAM_COPIES;
        }
    }

    /** What upstream's other create takes: the copies asked for; or, where the setting has more to say, the setting. */
    private String createParams(short replication) {
        boolean isPlain = createParams.isEmpty() || createParams.chars().allMatch(Character::isDigit);
        return isPlain ? Short.toString(replication) : createParams;
    }

    @Override
    public FSDataOutputStream create(
            Path file, FsPermission permission, boolean overwrite, int bufferSize, short replication, long blockSize,
            Progressable progress) throws IOException {
        return made(file, overwrite, () -> create(file, overwrite, createParams(replication), permission.toShort(), false));
    }

    @Override
    public FSDataOutputStream createNonRecursive(
            Path file, FsPermission permission, boolean overwrite, int bufferSize, short replication, long blockSize,
            Progressable progress) throws IOException {
        return made(file, overwrite, () -> createInParent(file, overwrite, createParams(replication), permission.toShort()));
    }

    /** FileContext's rename: fails with the reason as {@link Moves} has it, and then nothing was moved. */
    void move(Path source, Path target, boolean overwrite) throws IOException {
        Moves move = new Moves(this, source, target);
        move.refuseOneName();
        int status = moved(source, target, overwrite);
        if (status != 0) {
            throw move.failure(status, upstreams(status));
        }
    }

    /** FileContext's mkdir. */
    void makeDirectory(Path directory, int mode, boolean withParents) throws IOException {
        int status = madeDirectory(directory, mode, withParents);
        if (status == Moves.IS_THERE) {
            throw new FileAlreadyExistsException(directory + " is there");
        }
        if (status != 0) {
            throw upstreams(status);
        }
    }

    /** Makes a file. */
    private interface Making {
        FSDataOutputStream make() throws IOException;
    }

    /** What is there is said in Hadoop's word for it; upstream has one exception for everything. */
    private FSDataOutputStream made(Path file, boolean overwrite, Making making) throws IOException {
        FSDataOutputStream stream;
        try {
            stream = making.make();
        } catch (IOException failure) {
            if (overwrite || !isThere(file, failure)) {
                throw failure;
            }
            IOException isThere = new FileAlreadyExistsException(file + " is there");
            isThere.initCause(failure);
            throw isThere;
        }
        return chunks == null ? stream : new FinishedOutputStream(stream, size -> waitForChunks(file, size));
    }

    private boolean isThere(Path file, IOException failure) {
        try {
            return exists(file);
        } catch (IOException unanswered) {
            failure.addSuppressed(unanswered);
            return false;
        }
    }

    private void waitForChunks(Path file, long size) throws IOException {
        try {
            KfsFileAttr written = attributes(file);
            if (!isStriped(written)) {
                chunks.await(written, size, copies -> replicate(file, written.fileId, copies));
            }
        } catch (FileNotFoundException removedMeanwhile) {
            return;
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void replicate(Path file, long id, int copies) throws IOException {
        if (attributes(file).fileId == id) {
            setReplication(file, (short) copies);
        }
    }

    @Override
    public void close() throws IOException {
        if (chunks != null) {
            chunks.close();
        }
        if (replicas != null) {
            replicas.close();
        }
        super.close();
    }
}
