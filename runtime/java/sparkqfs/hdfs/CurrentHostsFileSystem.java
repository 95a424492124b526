package sparkqfs.hdfs;

import java.io.IOException;
import java.util.stream.Stream;

import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathFilter;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.util.functional.RemoteIterators;

/**
 * HDFS whose blocks are on the hosts that the datanodes have now. A namenode goes on naming the host a datanode registered
 * with first when it comes back under another (HDFS-17877, Hadoop 3.3 to 3.5.0); the address beside it is the present one,
 * and the name of Spark's executors here.
 */
public class CurrentHostsFileSystem extends DistributedFileSystem {
    @Override
    public BlockLocation[] getFileBlockLocations(Path path, long start, long length) throws IOException {
        return current(super.getFileBlockLocations(path, start, length));
    }

    @Override
    protected RemoteIterator<LocatedFileStatus> listLocatedStatus(Path path, PathFilter filter) throws IOException {
        return RemoteIterators.mappingRemoteIterator(super.listLocatedStatus(path, filter), status -> {
            current(status.getBlockLocations());
            return status;
        });
    }

    /** The same objects, changed. No locations at all (a directory) stay none. */
    static BlockLocation[] current(BlockLocation[] blocks) throws IOException {
        if (blocks != null) {
            for (BlockLocation block : blocks) {
                block.setHosts(Stream.of(block.getNames()).map(CurrentHostsFileSystem::address).toArray(String[]::new));
            }
        }
        return blocks;
    }

    /** Of `address:port`. */
    private static String address(String name) {
        return name.substring(0, name.lastIndexOf(':'));
    }
}
