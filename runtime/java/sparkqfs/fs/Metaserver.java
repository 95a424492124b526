package sparkqfs.fs;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Asks a metaserver which chunk is at an offset of a file and who has it, whether somebody still writes it, and which
 * file system it has: GETALLOC, LEASE_ACQUIRE and PING of the text protocol on the client port, as in QFS 2.2.8, src/cc/libclient/KfsOps.cc, src/cc/meta/MetaRequest.cc
 * and LayoutManager.cc.
 *
 * <p>No user is named: whoever asks has the file open through upstream, and a metaserver that wants to know refuses,
 * which is a doubt. A question takes three seconds at most, whatever it waits for, as a stream waits with it; for some
 * seconds after a failure nothing is asked.
 */
final class Metaserver implements Closeable {
    private static final long ANSWER_TIMEOUT_NS = 3_000_000_000L;
    private static final long PAUSE_NS = 5_000_000_000L;
    private static final int IDLE_CONNECTIONS = 4;
    private static final int MAX_ANSWER_BYTES = 1 << 20;
    private static final int BUFFER_BYTES = 4_096;
    private static final int PROTOCOL_VERSION = 116;
    private static final int NO_SUCH_ENTRY = -2;
    private static final int BUSY = -16;
    private static final Pattern FILE_SYSTEM_ID = Pattern.compile("\\bFS ID= (-?\\d+)");

    /** A chunk, and the ports of the chunkservers that have it by their addresses. */
    record Chunk(long id, long version, Map<String, Integer> ports) {
        Set<String> addresses() {
            return ports.keySet();
        }
    }

    private final String host;
    private final int port;
    private final ConcurrentLinkedDeque<Connection> idle = new ConcurrentLinkedDeque<>();
    /** Where the last connection was made to; null before the first one and after a failure. */
    private volatile InetAddress address;
    /** As last answered; 0 before the first answer, which no file system has. */
    private volatile long fileSystemId;
    private volatile boolean paused;
    private volatile long pauseEndNs;
    private volatile boolean closed;

    Metaserver(String host, int port) {
        this.host = host;
        this.port = port;
    }

    /** The chunk at {@code offset}, a multiple of the chunk size. Raises a doubt for whatever is not a clear answer. */
    Chunk locate(long fileId, long offset) throws Doubt {
        Map<String, String> answer = answer("GETALLOC", "File-handle: " + fileId + "\r\nChunk-offset: " + offset + "\r\n");
        try {
            int status = Integer.parseInt(answer.getOrDefault("status", "-1"));
            if (status == NO_SUCH_ENTRY) {
                throw new Doubt(Doubt.Reason.HOLE, "no chunk at " + offset + " of file " + fileId);
            }
            if (status != 0) {
                throw new Doubt(Doubt.Reason.METASERVER, "status " + status);
            }
            String[] replicas = answer.getOrDefault("replicas", "").split("\\s+");
            Map<String, Integer> ports = new HashMap<>();
            for (int i = 0; i + 1 < replicas.length; i += 2) {
                ports.put(replicas[i], Integer.valueOf(replicas[i + 1]));
            }
            return new Chunk(
                Long.parseLong(answer.get("chunk-handle")), Long.parseLong(answer.get("chunk-version")), ports);
        } catch (NumberFormatException strange) {
            throw new Doubt(Doubt.Reason.METASERVER, "strange answer " + answer);
        }
    }

    /** Whether all chunkservers have a chunk as it stays. A lease that would last no time is not given, only judged. */
    boolean isFinished(Chunk chunk) throws Doubt {
        String fields = "Chunk-handle: " + chunk.id() + "\r\nLease-timeout: -1\r\n";
        String status = answer("LEASE_ACQUIRE", fields).getOrDefault("status", "-1");
        if (status.equals("0")) {
            return true;
        }
        if (status.equals(Integer.toString(BUSY))) {
            return false;
        }
        throw new Doubt(Doubt.Reason.METASERVER, "status " + status + " of chunk " + chunk.id());
    }

    /** Whether it has this file system. Asks if the last answer was another one: all may have been made anew. */
    boolean hasFileSystem(long id) throws Doubt {
        if (id == fileSystemId) {
            return true;
        }
        Matcher found = FILE_SYSTEM_ID.matcher(answer("PING", "").getOrDefault("system info", ""));
        if (!found.find()) {
            throw new Doubt(Doubt.Reason.METASERVER, "it does not say which file system it has");
        }
        fileSystemId = Long.parseLong(found.group(1));
        return id == fileSystemId;
    }

    /** As of up to two seconds ago. */
    Chunkservers chunkservers() throws Doubt {
        Map<String, String> answer = answer("PING", "");
        try {
            return Chunkservers.of(answer);
        } catch (NumberFormatException strange) {
            throw new Doubt(Doubt.Reason.METASERVER, "strange answer " + strange.getMessage());
        }
    }

    private Map<String, String> answer(String operation, String fields) throws Doubt {
        if (paused && System.nanoTime() - pauseEndNs < 0) {
            throw new Doubt(Doubt.Reason.METASERVER, "it did not answer a moment ago");
        }
        try {
            Map<String, String> answer = ask(operation, fields, System.nanoTime() + ANSWER_TIMEOUT_NS);
            paused = false;
            return answer;
        } catch (IOException | RuntimeException failure) {
            pauseEndNs = System.nanoTime() + PAUSE_NS;
            paused = true;
            address = null;
            closeIdle();
            throw new Doubt(Doubt.Reason.METASERVER, failure.toString());
        }
    }

    /** Asks again only where the metaserver had closed the connection meanwhile; silence is an answer. */
    private Map<String, String> ask(String operation, String fields, long endNs) throws IOException {
        Connection used = idle.pollFirst();
        if (used != null) {
            try {
                return used.ask(operation, fields, endNs);
            } catch (EOFException | SocketException closedMeanwhile) {
                used.close();
            }
        }
        return new Connection(endNs).ask(operation, fields, endNs);
    }

    /** Questions are still answered, each on a connection of its own. */
    @Override
    public void close() {
        closed = true;
        closeIdle();
    }

    private void closeIdle() {
        for (Connection one = idle.pollFirst(); one != null; one = idle.pollFirst()) {
            one.close();
        }
    }

    private static int leftMs(long endNs) throws SocketTimeoutException {
        long left = TimeUnit.NANOSECONDS.toMillis(endNs - System.nanoTime());
        if (left <= 0) {
            throw new SocketTimeoutException("no answer in time");
        }
        return (int) left;
    }

    /** A resolver may take much longer than anybody wants to wait. */
    private InetAddress resolve(long endNs) throws IOException {
        InetAddress known = address;
        if (known != null) {
            return known;
        }
        CompletableFuture<InetAddress> answer = new CompletableFuture<>();
        Thread resolver = new Thread(() -> {
            try {
                answer.complete(InetAddress.getByName(host));
            } catch (IOException | RuntimeException failure) {
                answer.completeExceptionally(failure);
            }
        }, "metaserver-address");
        resolver.setDaemon(true);
        resolver.start();
        try {
            return answer.orTimeout(leftMs(endNs), TimeUnit.MILLISECONDS).join();
        } catch (CompletionException failure) {
            throw new IOException("no address of " + host, failure.getCause());
        }
    }

    private final class Connection {
        private final Socket socket = new Socket();
        private final InputStream input;
        private final byte[] buffer = new byte[BUFFER_BYTES];
        private int next;
        private int filled;
        private long sequence;

        Connection(long endNs) throws IOException {
            try {
                InetAddress resolved = resolve(endNs);
                socket.setTcpNoDelay(true);
                socket.connect(new InetSocketAddress(resolved, port), leftMs(endNs));
                address = resolved;
                input = socket.getInputStream();
            } catch (IOException | RuntimeException failure) {
                close();
                throw failure;
            }
        }

        /** One question; the connection goes back to the idle ones only after a whole answer to this very question. */
        Map<String, String> ask(String operation, String fields, long endNs) throws IOException {
            sequence++;
            String request = operation + "\r\nCseq: " + sequence + "\r\nVersion: KFS/1.0\r\nClient-Protocol-Version: "
                + PROTOCOL_VERSION + "\r\n" + fields + "\r\n";
            boolean whole = false;
            try {
                socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
                Map<String, String> answer = readAnswer(endNs);
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
                if (closed) {
                    closeIdle();
                }
            }
        }

        private int read(long endNs) throws IOException {
            if (next == filled) {
                socket.setSoTimeout(leftMs(endNs));
                next = 0;
                filled = Math.max(0, input.read(buffer));
                if (filled == 0) {
                    throw new EOFException("connection closed");
                }
            }
            return buffer[next++] & 0xFF;
        }

        private Map<String, String> readAnswer(long endNs) throws IOException {
            Map<String, String> fields = new HashMap<>();
            StringBuilder line = new StringBuilder();
            for (int left = MAX_ANSWER_BYTES; left > 0; left--) {
                int read = read(endNs);
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

        void close() {
            try {
                socket.close();
            } catch (IOException alreadyGone) {
                return;
            }
        }
    }
}
