package sparkqfs.fs;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedDeque;

/**
 * Asks a metaserver which chunk is at an offset of a file and who has it: GETALLOC of the text protocol on the client
 * port, as in QFS 2.2.8, src/cc/libclient/KfsOps.cc and src/cc/meta/MetaRequest.cc.
 *
 * <p>No user is named: whoever asks has the file open through upstream, and a metaserver that wants to know refuses,
 * which is a doubt. For some seconds after a failure nothing is asked.
 */
final class Metaserver implements Closeable {
    private static final int CONNECT_TIMEOUT_MS = 2_000;
    private static final int ANSWER_TIMEOUT_MS = 3_000;
    private static final long PAUSE_NS = 5_000_000_000L;
    private static final int IDLE_CONNECTIONS = 4;
    private static final int MAX_ANSWER_BYTES = 65_536;
    private static final int PROTOCOL_VERSION = 116;
    private static final int NO_SUCH_ENTRY = -2;

    /** A chunk and the addresses of the chunkservers that have it. */
    record Chunk(long id, long version, Set<String> addresses) {
    }

    private final String host;
    private final int port;
    private final ConcurrentLinkedDeque<Connection> idle = new ConcurrentLinkedDeque<>();
    private volatile boolean paused;
    private volatile long pauseEndNs;

    Metaserver(String host, int port) {
        this.host = host;
        this.port = port;
    }

    /** The chunk at {@code offset}, a multiple of the chunk size. Raises a doubt for whatever is not a clear answer. */
    Chunk locate(long fileId, long offset) throws Doubt {
        if (paused && System.nanoTime() - pauseEndNs < 0) {
            throw new Doubt(Doubt.Reason.METASERVER, "it did not answer a moment ago");
        }
        Map<String, String> answer;
        try {
            answer = ask(fileId, offset);
            paused = false;
        } catch (IOException | RuntimeException failure) {
            pauseEndNs = System.nanoTime() + PAUSE_NS;
            paused = true;
            throw new Doubt(Doubt.Reason.METASERVER, failure.toString());
        }
        try {
            int status = Integer.parseInt(answer.getOrDefault("status", "-1"));
            if (status == NO_SUCH_ENTRY) {
                throw new Doubt(Doubt.Reason.HOLE, "no chunk at " + offset + " of file " + fileId);
            }
            if (status != 0) {
                throw new Doubt(Doubt.Reason.METASERVER, "status " + status);
            }
            String[] replicas = answer.getOrDefault("replicas", "").split("\\s+");
            Set<String> addresses = new HashSet<>();
            for (int i = 0; i + 1 < replicas.length; i += 2) {
                addresses.add(replicas[i]);
            }
            return new Chunk(
                Long.parseLong(answer.get("chunk-handle")), Long.parseLong(answer.get("chunk-version")), addresses);
        } catch (NumberFormatException strange) {
            throw new Doubt(Doubt.Reason.METASERVER, "strange answer " + answer);
        }
    }

    private Map<String, String> ask(long fileId, long offset) throws IOException {
        Connection used = idle.pollFirst();
        if (used != null) {
            try {
                return used.ask(fileId, offset);
            } catch (IOException closedMeanwhile) {
                used.close();
            }
        }
        return new Connection().ask(fileId, offset);
    }

    @Override
    public void close() {
        for (Connection one = idle.pollFirst(); one != null; one = idle.pollFirst()) {
            one.close();
        }
    }

    private final class Connection {
        private final Socket socket = new Socket();
        private final InputStream input;
        private long sequence;

        Connection() throws IOException {
            try {
                socket.setTcpNoDelay(true);
                socket.setSoTimeout(ANSWER_TIMEOUT_MS);
                socket.connect(new InetSocketAddress(host, port), CONNECT_TIMEOUT_MS);
                input = new BufferedInputStream(socket.getInputStream());
            } catch (IOException | RuntimeException failure) {
                close();
                throw failure;
            }
        }

        /** One question; the connection goes back to the idle ones only after a whole answer to this very question. */
        Map<String, String> ask(long fileId, long offset) throws IOException {
            sequence++;
            String request = "GETALLOC\r\nCseq: " + sequence + "\r\nVersion: KFS/1.0\r\nClient-Protocol-Version: "
                + PROTOCOL_VERSION + "\r\nFile-handle: " + fileId + "\r\nChunk-offset: " + offset + "\r\n\r\n";
            boolean whole = false;
            try {
                socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
                Map<String, String> answer = readAnswer();
                if (!Long.toString(sequence).equals(answer.get("cseq")) || answer.containsKey("content-length")) {
                    throw new IOException("an answer to another question: " + answer);
                }
                whole = true;
                return answer;
            } finally {
                if (whole && idle.size() < IDLE_CONNECTIONS) {
                    idle.addFirst(this);
                } else {
                    close();
                }
            }
        }

        private Map<String, String> readAnswer() throws IOException {
            Map<String, String> fields = new HashMap<>();
            int left = MAX_ANSWER_BYTES;
            StringBuilder line = new StringBuilder();
            while (true) {
                int next = input.read();
                if (next < 0) {
                    throw new EOFException("connection closed");
                }
                if (--left < 0) {
                    throw new IOException("answer too long");
                }
                if (next != '\n') {
                    line.append((char) next);
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
        }

        void close() {
            try {
                socket.close();
            } catch (IOException alreadyGone) {
                return;
            }
        }
    }
}
