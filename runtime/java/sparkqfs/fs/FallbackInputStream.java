package sparkqfs.fs;

import java.io.IOException;

import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSInputStream;

/** Upstream's stream for a whole file, its bytes counted; Hadoop's own statistics stay upstream's business. */
final class FallbackInputStream extends FSInputStream {
    private final FSDataInputStream upstream;
    private long position;
    /** After a read that failed upstream's stream gives what was left in its memory, until it is told where to read. */
    private boolean isLost;

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
        if (isLost) {
            upstream.seek(position);
        }
        isLost = true;
        int bytes = upstream.read(buffer, at, length);
        isLost = false;
        position += Math.max(0, bytes);
        ReadCounters.FALLBACK.add(Math.max(0, bytes));
        ReadCounters.UNKNOWN.add(Math.max(0, bytes));
        return bytes;
    }

    @Override
    public synchronized void seek(long target) throws IOException {
        upstream.seek(target);
        position = target;
        isLost = false;
    }

    @Override
    public synchronized long getPos() throws IOException {
        return isLost ? position : upstream.getPos();
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
