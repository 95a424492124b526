package sparkqfs.fs;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes this node's chunkserver read a chunk whose file we found damaged. It compares the same checksums, tells the
 * metaserver, and moves the file into lost+found; the metaserver has a new copy made from another one.
 *
 * <p>Upstream's reader may take any copy, so that without this a damaged one can stay for as long as nobody happens to
 * read it there. Nothing is asked of a chunk's only copy. A chunk is read once in a process, one chunk at a time and
 * none in the {@link #PAUSE_MS} after it; what does not fit into the queue is left to the next process or to the scrub.
 *
 * <p>Source: QFS 2.2.8, src/cc/chunk: KfsOps.cc ({@code SizeOp}, {@code ReadOp}), ChunkManager.cc
 * ({@code ReadChunkMetadata}, {@code ReadChunkDone}, {@code ChunkIOFailed}).
 */
final class DamagedReplicas {
    private static final Logger LOG = LoggerFactory.getLogger(DamagedReplicas.class);
    private static final int MOST_KNOWN = 10_000;
    private static final int MOST_WAITING = 100;
    private static final long PAUSE_MS = 1_000;
    private static final int ANSWER_TIMEOUT_MS = 10_000;
    private static final long CHUNK_TIMEOUT_NS = TimeUnit.SECONDS.toNanos(60);
    private static final int PIECE_BYTES = 1 << 20;
    private static final int MAX_HEADER_BYTES = 64 << 10;
    private static final int PROTOCOL_VERSION = 116;

    /** The latest ones; an older one may be read again. */
    private static final Set<String> KNOWN = Collections.newSetFromMap(new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
            return size() > MOST_KNOWN;
        }
    });
    private static final ThreadPoolExecutor READER = new ThreadPoolExecutor(
        0, 1, 1, TimeUnit.SECONDS, new ArrayBlockingQueue<>(MOST_WAITING), DamagedReplicas::thread,
        new ThreadPoolExecutor.DiscardPolicy());

    private DamagedReplicas() {
    }

    private static Thread thread(Runnable work) {
        Thread thread = new Thread(work, "damaged-replicas");
        thread.setDaemon(true);
        return thread;
    }

    /** Returns at once; nothing that goes wrong is the caller's concern. */
    static void report(Metaserver.Chunk chunk, String address, Doubt doubt) {
        Integer port = chunk.ports().get(address);
        if (!doubt.isDamage || port == null) {
            return;
        }
        if (chunk.addresses().size() < 2) {
            LOG.warn("damaged, and the only copy: {}", doubt.getMessage());
            return;
        }
        synchronized (KNOWN) {
            if (READER.getQueue().remainingCapacity() == 0 || !KNOWN.add(chunk.id() + "." + chunk.version())) {
                return;
            }
        }
        READER.execute(() -> readAndPause(chunk, address, port, doubt));
    }

    private static void readAndPause(Metaserver.Chunk chunk, String address, int port, Doubt doubt) {
        try {
            String answer = new Chunkserver(address, port).read(chunk);
            LOG.warn("damaged: {}; its chunkserver was made to read chunk {}: {}", doubt.getMessage(), chunk.id(), answer);
        } catch (IOException | RuntimeException failure) {
            LOG.warn("damaged: {}; its chunkserver could not be made to read chunk {}: {}", doubt.getMessage(),
                chunk.id(), failure.toString());
        }
        try {
            Thread.sleep(PAUSE_MS);
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    /** One connection to a chunkserver, for one chunk. */
    private static final class Chunkserver {
        private final String address;
        private final int port;
        private final long endNs = System.nanoTime() + CHUNK_TIMEOUT_NS;
        private long sequence;

        Chunkserver(String address, int port) {
            this.address = address;
            this.port = port;
        }

        /**
         * All of a chunk; what became of it in words. The last byte comes first: a chunkserver that has given the end
         * of a chunk closes its file, and reads the header from the disk the next time.
         */
        String read(Metaserver.Chunk chunk) throws IOException {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress(address, port), ANSWER_TIMEOUT_MS);
                socket.setSoTimeout(ANSWER_TIMEOUT_MS);
                InputStream input = new BufferedInputStream(socket.getInputStream());
                Map<String, String> found = ask(socket, input, "SIZE", chunk, "");
                long size = Long.parseLong(found.getOrDefault("size", "-1"));
                if (status(found) >= 0 && size > 0) {
                    found = ask(socket, input, "READ", chunk, range(size - 1, 1));
                }
                for (long at = 0; status(found) >= 0 && at < size; at += PIECE_BYTES) {
                    found = ask(socket, input, "READ", chunk, range(at, Math.min(PIECE_BYTES, size - at)));
                }
                return status(found) < 0 ? "it refuses it, status " + status(found) : "it found nothing";
            }
        }

        private static String range(long offset, long length) {
            return "Offset: " + offset + "\r\nNum-bytes: " + length + "\r\n";
        }

        private static long status(Map<String, String> answer) {
            return Long.parseLong(answer.getOrDefault("status", "-1"));
        }

        private Map<String, String> ask(
                Socket socket, InputStream input, String operation, Metaserver.Chunk chunk, String fields)
                throws IOException {
            if (System.nanoTime() > endNs) {
                throw new IOException("no answer in time");
            }
            sequence++;
            String request = operation + "\r\nCseq: " + sequence + "\r\nVersion: KFS/1.0\r\nClient-Protocol-Version: "
                + PROTOCOL_VERSION + "\r\nChunk-handle: " + chunk.id() + "\r\nChunk-version: " + chunk.version() + "\r\n"
                + fields + "\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            Map<String, String> answer = headers(input);
            if (!Long.toString(sequence).equals(answer.get("cseq"))) {
                throw new IOException("an answer to another question: " + answer);
            }
            long content = Long.parseLong(answer.getOrDefault("content-length", "0"));
            if (content < 0 || content > PIECE_BYTES) {
                throw new IOException("an answer of " + content + " bytes");
            }
            input.skipNBytes(content);
            return answer;
        }

        private static Map<String, String> headers(InputStream input) throws IOException {
            Map<String, String> fields = new LinkedHashMap<>();
            StringBuilder line = new StringBuilder();
            for (int left = MAX_HEADER_BYTES; left > 0; left--) {
                int read = input.read();
                if (read < 0) {
                    throw new EOFException("connection closed");
                }
                if (read != '\n') {
                    line.append((char) read);
                    continue;
                }
                String text = line.toString().strip();
                line.setLength(0);
                if (text.isEmpty()) {
                    return fields;
                }
                int colon = text.indexOf(':');
                if (colon > 0) {
                    fields.put(text.substring(0, colon).toLowerCase(), text.substring(colon + 1).strip());
                }
            }
            throw new IOException("answer too long");
        }
    }
}
