package com.quantcast.qfs.hadoop;

import java.io.IOException;

import com.quantcast.qfs.access.KfsFileAttr;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Shows subclasses in other packages what upstream keeps to this one; takes every name that HDFS takes ({@link NamedQfs}). */
public class OpenQuantcastFileSystem extends QuantcastFileSystem2 {

    @Override
    protected IFSImpl createIFSImpl(String host, int port, FileSystem.Statistics statistics, Configuration conf)
            throws IOException {
        return new NamedQfs(super.createIFSImpl(host, port, statistics, conf));
    }

    /** Attributes with the file id, from the very cache that upstream's open uses. */
    protected KfsFileAttr attributes(Path path) throws IOException {
        return qfsImpl.fullStat(makeAbsolute(path).makeQualified(uri, null));
    }

    /**
     * Hosts with ports of each chunk of a plain file, from the one that has {@code start} on; null for a file that is gone.
     * Upstream's getFileBlockLocations asks another question, getBlocksLocation, whose answer names for every block but
     * the first the hosts of the one before (QFS 2.2.8, qfs_access_jni.cc, CreateLocations).
     */
    protected String[][] chunkHosts(Path file, long start, long length) throws IOException {
        return qfsImpl.getDataLocation(makeAbsolute(file).toUri().getPath(), start, length);
    }

    /** Like upstream's create with parameters, but a missing parent is an error. */
    protected FSDataOutputStream createInParent(Path file, boolean overwrite, String createParams, int mode)
            throws IOException {
        return qfsImpl.create(makeAbsolute(file).toUri().getPath(), overwrite, createParams, mode, false);
    }

    /** Upstream's way for FileContext: a file that is not there is made. */
    public FSDataOutputStream appendOrCreate(Path file, short replication, int bufferSize, boolean overwrite, int mode)
            throws IOException {
        return qfsImpl.create(makeAbsolute(file).toUri().getPath(), replication, bufferSize, overwrite, mode, true);
    }

    /** A directory, on demand with those above it. As {@link #moved}. */
    protected int madeDirectory(Path directory, int mode, boolean withParents) throws IOException {
        String path = makeAbsolute(directory).toUri().getPath();
        return withParents ? qfsImpl.mkdirs(path, mode) : qfsImpl.mkdir(path, mode);
    }

    /** One question to the metaserver, which decides and does it at once. The system's error number, negative; 0: done. */
    protected int moved(Path source, Path target, boolean overwrite) throws IOException {
        return qfsImpl.rename2(makeAbsolute(source).toUri().getPath(), makeAbsolute(target).toUri().getPath(), overwrite);
    }

    /** Upstream's exception for such a number. */
    protected IOException upstreams(int status) {
        try {
            qfsImpl.retToIoException(status);
        } catch (IOException said) {
            return said;
        }
        return new IOException("error " + status);
    }
}
