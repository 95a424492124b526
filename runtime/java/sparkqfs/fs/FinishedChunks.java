package sparkqfs.fs;

import java.io.Closeable;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import com.quantcast.qfs.access.KfsFileAttr;
import org.apache.hadoop.fs.Path;
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
    void await(Path path, KfsFileAttr file, long size) throws InterruptedException {
        try {
            List<Long> offsets = new ArrayList<>();
            long end = System.currentTimeMillis() + FINISH_MS;
            for (long offset = 0; offset < size; offset += ChunkFile.CHUNK_BYTES) {
                awaitEnd(metaserver.locate(file.fileId, offset), end);
                offsets.add(offset);
            }
            if (copiesMs > 0 && !isPaused()) {
                awaitCopies(path, file, offsets);
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

    /** Who has a chunk is asked again, as a server may have failed to finish it. The servers are asked for if one lacks. */
    private void awaitCopies(Path path, KfsFileAttr file, List<Long> offsets) throws Doubt, InterruptedException {
        long end = System.currentTimeMillis() + copiesMs;
        for (long offset : offsets) {
            int copies = copies(file, offset);
            while (copies < file.replication && copies < metaserver.ableToTake()) {
                if (System.currentTimeMillis() >= end) {
                    pauseEndNs = System.nanoTime() + PAUSE_NS;
                    paused = true;
                    LOG.warn("{}: {} of {} copies of the chunk at {} after {} ms; not waited for any longer", path, copies,
                        file.replication, offset, copiesMs);
                    return;
                }
                Thread.sleep(COPIES_POLL_MS);
                copies = copies(file, offset);
            }
        }
    }

    private int copies(KfsFileAttr file, long offset) throws Doubt {
        return metaserver.locate(file.fileId, offset).addresses().size();
    }

    @Override
    public void close() {
        metaserver.close();
    }
}
