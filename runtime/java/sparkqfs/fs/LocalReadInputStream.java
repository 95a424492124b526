package sparkqfs.fs;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;

import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file's bytes: from the disk where this node has a valid replica of the chunk, else, and in every doubt, from
 * upstream's stream. Positioned reads come from FSInputStream: seek, read, seek back, under this lock, as upstream's.
 */
final class LocalReadInputStream extends FSInputStream {
    private static final Logger LOG = LoggerFactory.getLogger(LocalReadInputStream.class);
    /** A location is asked for again after this: the chunkserver may have been cut off while others wrote. */
    private static final long LOCATION_AGE_NS = 5_000_000_000L;
    /** So is that of a chunk that was not here: a copy may have been made meanwhile, but nothing is wrong without. */
    private static final long REMOTE_AGE_NS = 30_000_000_000L;
    private static final int OPEN_CHUNKS = 4;
    private static final int WINDOW_BYTES = 4 * ChunkFile.BLOCK_BYTES;
    private static final int DIRECT_BYTES = 8 * ChunkFile.BLOCK_BYTES;

    private final FSDataInputStream upstream;
    private final long fileId;
    private final long size;
    private final LocalReplicas replicas;
    private final FileSystem.Statistics statistics;
    private final Map<Long, Place> places = new LinkedHashMap<>(8, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Place> eldest) {
            if (size() <= OPEN_CHUNKS) {
                return false;
            }
            eldest.getValue().close();
            return true;
        }
    };
    private long position;
    private long upstreamPosition;
    private boolean closed;
    /** Checked bytes of the file from {@code windowStart} on; a place to read small pieces from. */
    private byte[] window;
    private long windowStart;
    private int windowLength;

    LocalReadInputStream(
            FSDataInputStream upstream, long fileId, long size, LocalReplicas replicas, FileSystem.Statistics statistics) {
        this.upstream = upstream;
        this.fileId = fileId;
        this.size = size;
        this.replicas = replicas;
        this.statistics = statistics;
    }

    /**
     * Where a chunk is read: {@code file} if it is here; {@code isRemote} if it is known not to be; else a doubt.
     * {@code source} counts what upstream reads of it.
     */
    private record Place(ChunkFile file, boolean isRemote, LongAdder source, long sinceNs) {
        void close() {
            if (file != null) {
                file.close();
            }
        }
    }

    @Override
    public synchronized int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) == 1 ? one[0] & 0xFF : -1;
    }

    @Override
    public synchronized int read(byte[] buffer, int at, int length) throws IOException {
        Objects.checkFromIndexSize(at, length, buffer.length);
        checkOpen();
        if (length == 0) {
            return upstream.read(buffer, at, 0);
        }
        int done = 0;
        while (done < length && position < size) {
            int wanted = (int) Math.min(length - done, size - position);
            int bytes;
            try {
                bytes = readPiece(buffer, at + done, wanted);
            } catch (IOException failure) {
                if (done > 0) {
                    break;
                }
                throw failure;
            }
            if (bytes < 0) {
                break;
            }
            position += bytes;
            done += bytes;
        }
        return done > 0 ? done : -1;
    }

    /** Some bytes at the position, none of them of a second chunk; -1 where upstream sees the end. */
    private int readPiece(byte[] buffer, int at, int length) throws IOException {
        int offset = (int) (position % ChunkFile.CHUNK_BYTES);
        int wanted = Math.min(length, ChunkFile.CHUNK_BYTES - offset);
        Place place = place(position / ChunkFile.CHUNK_BYTES);
        if (place.file() != null) {
            try {
                return count(readLocal(place.file(), offset, buffer, at, wanted));
            } catch (Doubt doubt) {
                replicas.report(place.file().chunk, doubt);
                place = replace(position / ChunkFile.CHUNK_BYTES, doubt, place.source());
            }
        }
        if (upstreamPosition != position) {
            upstream.seek(position);
            upstreamPosition = position;
        }
        int bytes;
        try {
            bytes = upstream.read(buffer, at, wanted);
        } catch (IOException | RuntimeException failure) {
            upstreamPosition = -1;
            throw failure;
        }
        if (bytes > 0) {
            upstreamPosition += bytes;
            (place.isRemote() ? ReadCounters.REMOTE : ReadCounters.FALLBACK).add(bytes);
            place.source().add(bytes);
        }
        return bytes;
    }

    private int count(int bytes) {
        ReadCounters.LOCAL.add(bytes);
        statistics.incrementBytesRead(bytes);
        return bytes;
    }

    private int copyFromWindow(byte[] buffer, int at, int length) {
        long skip = position - windowStart;
        if (skip < 0 || skip >= windowLength) {
            return 0;
        }
        int bytes = (int) Math.min(length, windowLength - skip);
        System.arraycopy(window, (int) skip, buffer, at, bytes);
        return bytes;
    }

    /** Whole blocks go straight to the caller's buffer, the rest through the window. */
    private int readLocal(ChunkFile file, int offset, byte[] buffer, int at, int wanted) throws Doubt {
        int ready = copyFromWindow(buffer, at, wanted);
        if (ready > 0) {
            return ready;
        }
        int start = offset / ChunkFile.BLOCK_BYTES * ChunkFile.BLOCK_BYTES;
        if (file.readable(offset, wanted) < wanted) {
            throw new Doubt(Doubt.Reason.SHORT, "chunk " + file.chunk.id() + " has not " + (offset + wanted) + " bytes");
        }
        if (start == offset && wanted >= ChunkFile.BLOCK_BYTES) {
            int whole = Math.min(wanted / ChunkFile.BLOCK_BYTES * ChunkFile.BLOCK_BYTES, DIRECT_BYTES);
            file.read(offset, buffer, at, whole);
            return whole;
        }
        long chunkStart = position - offset;
        boolean isNext = windowStart + windowLength == chunkStart + start;
        windowLength = 0;
        if (window == null) {
            window = new byte[WINDOW_BYTES];
        }
        int bytes = file.readable(start, isNext ? WINDOW_BYTES : ChunkFile.BLOCK_BYTES);
        file.read(start, window, 0, bytes);
        windowStart = chunkStart + start;
        windowLength = (int) Math.min(bytes, size - windowStart);
        return copyFromWindow(buffer, at, wanted);
    }

    private Place place(long index) {
        Place place = places.get(index);
        if (place != null
                && System.nanoTime() - place.sinceNs() < (place.isRemote() ? REMOTE_AGE_NS : LOCATION_AGE_NS)) {
            return place;
        }
        Metaserver.Chunk chunk;
        try {
            chunk = replicas.locate(fileId, index);
        } catch (Doubt doubt) {
            return replace(index, doubt, ReadCounters.UNKNOWN);
        }
        LongAdder source = ReadCounters.source(chunk.addresses());
        if (place != null && place.file() != null && place.file().chunk.equals(chunk)) {
            Place again = new Place(place.file(), false, source, System.nanoTime());
            places.put(index, again);
            return again;
        }
        try {
            boolean isHere = replicas.isHere(chunk);
            ChunkFile file = isHere ? replicas.open(fileId, chunk) : null;
            return put(index, new Place(file, !isHere, source, System.nanoTime()));
        } catch (Doubt doubt) {
            replicas.report(chunk, doubt);
            return replace(index, doubt, source);
        }
    }

    /** Leaves the chunk to upstream; a file that moved away may already be known to be elsewhere. */
    private Place replace(long index, Doubt doubt, LongAdder known) {
        ReadCounters.count(doubt.reason);
        LOG.info("read through QFS: {}", doubt.getMessage());
        boolean isRemote = false;
        LongAdder source = known;
        if (doubt.reason == Doubt.Reason.CHANGED) {
            try {
                Metaserver.Chunk now = replicas.locate(fileId, index);
                isRemote = !replicas.isHere(now);
                source = ReadCounters.source(now.addresses());
            } catch (Doubt another) {
                ReadCounters.count(another.reason);
            }
        }
        return put(index, new Place(null, isRemote, source, System.nanoTime()));
    }

    private Place put(long index, Place place) {
        windowLength = 0;
        Place old = places.put(index, place);
        if (old != null) {
            old.close();
        }
        return place;
    }

    private void checkOpen() throws IOException {
        if (closed) {
            throw new IOException("File closed");
        }
    }

    @Override
    public synchronized long getPos() throws IOException {
        checkOpen();
        return position;
    }

    @Override
    public synchronized void seek(long target) throws IOException {
        if (target < 0) {
            throw new IllegalArgumentException("seek(" + target + ")");
        }
        checkOpen();
        position = target;
    }

    @Override
    public synchronized int available() throws IOException {
        return (int) (size - getPos());
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
        closed = true;
        places.values().forEach(Place::close);
        places.clear();
        windowLength = 0;
        upstream.close();
    }
}
