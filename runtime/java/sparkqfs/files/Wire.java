package sparkqfs.files;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Frames in both directions: a type, a length of four bytes, a payload. {@code M} is a message, a count and so many
 * texts with their lengths; {@code D} is data, an empty one its end; {@code K} says that work goes on.
 */
final class Wire {
    static final int MESSAGE = 'M';
    static final int DATA = 'D';
    private static final int ALIVE = 'K';
    private static final int LARGEST = 16 << 20;
    private static final long ALIVE_NANOS = 5_000_000_000L;
    private static final long BEAT_MILLIS = 1000;

    private final DataInputStream in;
    private final DataOutputStream out;
    private long lastNanos = System.nanoTime();
    private volatile boolean isWorking;

    Wire(InputStream in, OutputStream out) {
        this.in = new DataInputStream(new BufferedInputStream(in, 1 << 18));
        this.out = new DataOutputStream(new BufferedOutputStream(out, 1 << 18));
        Thread beat = new Thread(this::beat, "alive");
        beat.setDaemon(true);
        beat.start();
    }

    /** While it is set, the client hears every few seconds that work goes on, whatever the storage makes us wait for. */
    void setWorking(boolean isWorking) {
        this.isWorking = isWorking;
    }

    private void beat() {
        try {
            while (true) {
                Thread.sleep(BEAT_MILLIS);
                if (isWorking) {
                    alive();
                }
            }
        } catch (InterruptedException | IOException gone) { // the next answer meets the same end
            return;
        }
    }

    /** The client is gone. */
    static final class Alone extends IOException {
        private static final long serialVersionUID = 1L;
    }

    /** One frame. {@code texts} is null for data, {@code data} for a message. */
    record Frame(List<String> texts, byte[] data) {
        String text(int number) throws IOException {
            if (texts == null || number >= texts.size()) {
                throw new IOException("a message of another shape was expected");
            }
            return texts.get(number);
        }
    }

    /** The next frame, null when nothing comes any more. */
    Frame read() throws IOException {
        int type = in.read();
        if (type < 0) {
            return null;
        }
        int length = in.readInt();
        if (length < 0 || length > LARGEST) {
            throw new IOException("a frame of " + length + " bytes");
        }
        byte[] payload = new byte[length];
        in.readFully(payload);
        if (type == DATA) {
            return new Frame(null, payload);
        }
        if (type != MESSAGE) {
            throw new IOException("a frame of type " + type);
        }
        return new Frame(texts(payload), null);
    }

    /** The next frame; its absence is an error, because somebody is waiting in the middle of something. */
    Frame next() throws IOException {
        Frame frame = read();
        if (frame == null) {
            throw new Alone();
        }
        return frame;
    }

    private static List<String> texts(byte[] payload) throws IOException {
        DataInputStream from = new DataInputStream(new ByteArrayInputStream(payload));
        List<String> texts = new ArrayList<>();
        for (int left = from.readInt(); left > 0; left--) {
            byte[] text = new byte[from.readInt()];
            from.readFully(text);
            texts.add(new String(text, StandardCharsets.UTF_8));
        }
        return texts;
    }

    synchronized void send(List<String> texts) throws IOException {
        List<byte[]> encoded = new ArrayList<>();
        int length = 4;
        for (String text : texts) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            encoded.add(bytes);
            length += 4 + bytes.length;
        }
        out.writeByte(MESSAGE);
        out.writeInt(length);
        out.writeInt(encoded.size());
        for (byte[] bytes : encoded) {
            out.writeInt(bytes.length);
            out.write(bytes);
        }
        flush();
    }

    void send(String... texts) throws IOException {
        send(List.of(texts));
    }

    /** Data, not flushed; none at all is the end, and is. */
    synchronized void send(byte[] data, int count) throws IOException {
        out.writeByte(DATA);
        out.writeInt(count);
        out.write(data, 0, count);
        if (count == 0) {
            flush();
        }
        lastNanos = System.nanoTime();
    }

    private synchronized void alive() throws IOException {
        if (System.nanoTime() - lastNanos > ALIVE_NANOS) {
            out.writeByte(ALIVE);
            out.writeInt(0);
            flush();
        }
    }

    private void flush() throws IOException {
        out.flush();
        lastNanos = System.nanoTime();
    }
}
