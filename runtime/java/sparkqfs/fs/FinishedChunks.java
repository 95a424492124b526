package sparkqfs.fs;

import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import com.quantcast.qfs.access.KfsFileAttr;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Waits for the chunks of a file that was closed: until they are finished, and until each has as many copies as were
 * asked for. A metaserver gives a chunk to fewer chunkservers when it likes some of them less at that moment, and makes
 * the other copies later (2.2.8, src/cc/meta/LayoutManager.cc, {@code AllocateChunk}, {@code MakeChunkStableDone}).
 *
 * <p>A metaserver that does not answer is not waited for: upstream has answered, and the file is there.
 */
final class FinishedChunks implements Closeable {
    /** Sets how many copies the file asks for. */
    interface Replication {
        void set(int copies) throws IOException;
    }

    private static final Logger LOG = LoggerFactory.getLogger(FinishedChunks.class);
    private static final long FINISH_MS = 30_000;
    private static final long POLL_MS = 2;
    private static final long LONGEST_POLL_MS = 50;
    private static final long COPIES_POLL_MS = 200;
    /** So long after copies were waited for in vain nobody waits for them again; 300 s, as a server is missed. */
    private static final long PAUSE_NS = TimeUnit.SECONDS.toNanos(300);

    private final Metaserver metaserver;
    private final long copiesMs;
    private volatile boolean paused;
    private volatile long pauseEndNs;

    /** {@code copiesMs} is the longest wait for copies, 0 for none. */
    FinishedChunks(Metaserver metaserver, long copiesMs) {
        this.metaserver = metaserver;
        this.copiesMs = copiesMs;
    }

    /** For the chunks of the first {@code size} bytes of a file that is not striped. */
    void await(KfsFileAttr file, long size, Replication replication) throws InterruptedException {
        try {
            List<Long> offsets = new ArrayList<>();
            long end = System.currentTimeMillis() + FINISH_MS;
            for (long offset = 0; offset < size; offset += ChunkFile.CHUNK_BYTES) {
                awaitEnd(metaserver.locate(file.fileId, offset), end);
                offsets.add(offset);
            }
            if (copiesMs > 0 && !isPaused()) {
                awaitCopies(file, offsets, replication);
            }
        } catch (Doubt unsaid) {
            return;
        }
    }

    private void awaitEnd(Metaserver.Chunk chunk, long end) throws Doubt, InterruptedException {
        for (long pause = POLL_MS; !metaserver.isFinished(chunk) && System.currentTimeMillis() < end;
                pause = Math.min(2 * pause, LONGEST_POLL_MS)) {
            Thread.sleep(pause);
        }
    }

    private boolean isPaused() {
        return paused && System.nanoTime() - pauseEndNs < 0;
    }

    /**
     * Who has a chunk is asked again, as a server may have failed to finish it; the servers are asked for if one lacks.
     * While one of them is down, its copies count, of this chunk too, for the minutes in which it may come back. So the
     * file asks for so many more meanwhile.
     */
    private void awaitCopies(KfsFileAttr file, List<Long> offsets, Replication replication)
            throws Doubt, InterruptedException {
        long end = System.currentTimeMillis() + copiesMs;
        boolean isRaised = false;
        try {
            for (long offset : offsets) {
                for (int copies = copies(file, offset); copies < file.replication; copies = copies(file, offset)) {
                    Chunkservers servers = metaserver.chunkservers();
                    if (copies >= servers.able()) {
                        break;
                    }
                    if (System.currentTimeMillis() >= end) {
                        giveUp(file, offset, copies);
                        return;
                    }
                    if (!isRaised && servers.missing() > 0) {
                        isRaised = true;
                        set(replication, 2 * file.replication - copies);
                    }
                    Thread.sleep(COPIES_POLL_MS);
                }
            }
        } finally {
            if (isRaised) {
                set(replication, file.replication);
            }
        }
    }

    /** The file is closed: what goes wrong here costs a wait. */
    private static void set(Replication replication, int copies) {
        try {
            replication.set(copies);
        } catch (IOException refused) {
            LOG.warn("could not ask for {} copies: {}", copies, refused.toString());
        }
    }

    private void giveUp(KfsFileAttr file, long offset, int copies) {
        pauseEndNs = System.nanoTime() + PAUSE_NS;
        paused = true;
        LOG.warn("file {}: {} of {} copies of the chunk at {} after {} ms; not waited for any longer", file.fileId, copies,
            file.replication, offset, copiesMs);
    }

    private int copies(KfsFileAttr file, long offset) throws Doubt {
        return metaserver.locate(file.fileId, offset).addresses().size();
    }

    @Override
    public void close() {
        metaserver.close();
    }
}
