package sparkqfs.fs;

import java.io.IOException;
import org.apache.hadoop.fs.FSDataOutputStream;

/**
 * A new file whose close returns when its chunks are finished: synced, with the names that a chunkserver keeps, and with
 * the copies that were asked for.
 * QFS answers a close before that (2.2.8, src/cc/chunk/KfsOps.cc, CloseOp), and a chunk that is not finished does not
 * outlive a power cut.
 */
final class FinishedOutputStream extends FSDataOutputStream {
    /** What waits for so many bytes of the file. */
    interface Wait {
        void forBytes(long size) throws IOException;
    }

    private final FSDataOutputStream upstream;
    private final Wait wait;
    private boolean isClosed;

    FinishedOutputStream(FSDataOutputStream upstream, Wait wait) throws IOException {
        super(upstream, null, upstream.getPos());
        this.upstream = upstream;
        this.wait = wait;
    }

    @Override
    public void close() throws IOException {
        if (isClosed) {
            return;
        }
        isClosed = true;
        long size = upstream.getPos();
        super.close();
        wait.forBytes(size);
    }
}
