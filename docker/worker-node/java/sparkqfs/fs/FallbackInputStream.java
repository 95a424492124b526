package sparkqfs.fs;

import java.io.IOException;

import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSInputStream;

/** Upstream's stream for a whole file, its bytes counted; Hadoop's own statistics stay upstream's business. */
final class FallbackInputStream extends FSInputStream {
    private final FSDataInputStream upstream;

    FallbackInputStream(FSDataInputStream upstream) {
        this.upstream = upstream;
    }

    /** Not upstream's, which counts the byte twice in the statistics. */
    @Override
    public synchronized int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) == 1 ? one[0] & 0xFF : -1;
    }

    @Override
    public synchronized int read(byte[] buffer, int at, int length) throws IOException {
        int bytes = upstream.read(buffer, at, length);
        ReadCounters.FALLBACK.add(Math.max(0, bytes));
        ReadCounters.UNKNOWN.add(Math.max(0, bytes));
        return bytes;
    }

    @Override
    public synchronized void seek(long target) throws IOException {
        upstream.seek(target);
    }

    @Override
    public synchronized long getPos() throws IOException {
        return upstream.getPos();
    }

    @Override
    public synchronized int available() throws IOException {
        return upstream.available();
    }

    @Override
    public boolean seekToNewSource(long target) {
        return false;
    }

    @Override
    public synchronized void reset() throws IOException {
        throw new IOException("Mark not supported");
    }

    @Override
    public synchronized void close() throws IOException {
        upstream.close();
    }
}
