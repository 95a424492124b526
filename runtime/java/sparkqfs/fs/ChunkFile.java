package sparkqfs.fs;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.zip.Adler32;

/**
 * One version of a chunk on this machine's disk, opened for reading.
 *
 * <p>Layout as in QFS 2.2.8, src/cc/chunk/Chunk.h: 4,400 bytes of header, its Adler-32 in the next eight, data from
 * 16,384 on. A block's Adler-32 is over 64 KiB, the last block filled up with zeros. A name without a directory in
 * front is a chunk that nobody writes: to write one the chunkserver moves it away first, and it comes back under
 * another version.
 */
final class ChunkFile implements Closeable {
    static final int CHUNK_BYTES = 1 << 26;
    static final int BLOCK_BYTES = 1 << 16;
    private static final int HEADER_BYTES = 16_384;
    private static final int HEADER_FIELDS_BYTES = 4_400;
    private static final int FILE_SYSTEM_OFFSET = 4_140;
    /** What is before a file system's id. */
    private static final byte[] FILE_SYSTEM_MARK = {
        0, 'Q', 'F', 'S', 'F', 's', 'I', 'd', (byte) 0xe4, 0x5e, 0x23, 0x0e, 0x34, (byte) 0x9a, 0x07, (byte) 0xce};
    private static final int MAGIC = 0xCAFECAFE;
    private static final int FORMAT = 1;
    private static final int ADLER_BASE = 65_521;

    final Metaserver.Chunk chunk;
    /** The id in the header; not positive where there is none, which QFS takes for its own. */
    private long fileSystemId;
    private final Path path;
    private final Object identity;
    private final RandomAccessFile file;
    private final int[] checksums = new int[CHUNK_BYTES / BLOCK_BYTES];
    private final int size;
    private final Adler32 adler = new Adler32();

    ChunkFile(Path path, long fileId, Metaserver.Chunk chunk) throws Doubt {
        this.path = path;
        this.chunk = chunk;
        RandomAccessFile opened = null;
        try {
            identity = identity();
            opened = new RandomAccessFile(path.toFile(), "r");
            size = readHeader(opened, fileId);
            file = opened;
        } catch (Doubt doubt) {
            close(opened);
            throw doubt;
        } catch (IOException | RuntimeException failure) {
            close(opened);
            Doubt.Reason reason = Files.exists(path) ? Doubt.Reason.UNREADABLE : Doubt.Reason.MISSING;
            throw new Doubt(reason, failure.toString());
        }
    }

    private Object identity() throws IOException {
        BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
        if (!attributes.isRegularFile()) {
            throw new IOException(path + " is not a regular file");
        }
        return attributes.fileKey();
    }

    /** Checks the header and returns the number of data bytes. */
    private int readHeader(RandomAccessFile opened, long fileId) throws IOException {
        byte[] header = new byte[HEADER_FIELDS_BYTES + Long.BYTES];
        try {
            opened.readFully(header);
        } catch (EOFException end) {
            throw new Doubt(Doubt.Reason.HEADER, path + " ends in its header");
        }
        ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
        boolean isOurs = fields.getInt() == MAGIC && fields.getInt() == FORMAT && fields.getLong() == fileId
            && fields.getLong() == chunk.id() && fields.getLong() == chunk.version();
        long dataBytes = fields.getLong();
        fields.asIntBuffer().get(checksums);
        int flags = fields.getInt(HEADER_FIELDS_BYTES - Integer.BYTES);
        long expected = fields.getLong(HEADER_FIELDS_BYTES);
        adler.reset();
        adler.update(header, 0, HEADER_FIELDS_BYTES);
        if (!isOurs || flags != 0 || dataBytes < 0 || dataBytes > CHUNK_BYTES || adler.getValue() != expected) {
            throw new Doubt(Doubt.Reason.HEADER, path + " has a strange header");
        }
        int end = FILE_SYSTEM_OFFSET + FILE_SYSTEM_MARK.length;
        if (Arrays.equals(header, FILE_SYSTEM_OFFSET, end, FILE_SYSTEM_MARK, 0, FILE_SYSTEM_MARK.length)) {
            fileSystemId = fields.getLong(end);
        }
        return (int) dataBytes;
    }

    /** Raises a doubt if the chunk belongs to another file system, as on a disk that came from another cluster. */
    void checkFileSystem(Metaserver metaserver) throws Doubt {
        if (fileSystemId > 0 && !metaserver.hasFileSystem(fileSystemId)) {
            throw new Doubt(Doubt.Reason.HEADER, path + " is of the file system " + fileSystemId, false);
        }
    }

    /** Bytes that {@link #read} can give from {@code offset} on, up to {@code wanted}. */
    int readable(int offset, int wanted) {
        return Math.min(wanted, size - offset);
    }

    /**
     * Reads {@code length} bytes at {@code offset} of the chunk. The offset is a block's; the length is that of whole
     * blocks or reaches the end of the chunk. What is in the buffer counts only if this returns.
     */
    void read(int offset, byte[] buffer, int at, int length) throws Doubt {
        try {
            file.seek(HEADER_BYTES + (long) offset);
            file.readFully(buffer, at, length);
        } catch (EOFException end) {
            throw new Doubt(Doubt.Reason.SHORT, path + " ends before its size says");
        } catch (IOException failure) {
            throw new Doubt(Doubt.Reason.UNREADABLE, failure.toString());
        }
        for (int done = 0; done < length; done += BLOCK_BYTES) {
            int bytes = Math.min(BLOCK_BYTES, length - done);
            int block = (offset + done) / BLOCK_BYTES;
            if (checksum(buffer, at + done, bytes) != checksums[block]) {
                throw new Doubt(Doubt.Reason.CHECKSUM, "block " + block + " of " + path);
            }
        }
        Object now;
        try {
            now = identity();
        } catch (IOException gone) {
            throw new Doubt(Doubt.Reason.CHANGED, gone.toString());
        }
        if (!now.equals(identity)) {
            throw new Doubt(Doubt.Reason.CHANGED, path + " was replaced");
        }
    }

    /** Adler-32 of a block; zeros that fill it up leave the low sum and add it to the high one, each. */
    private int checksum(byte[] buffer, int at, int bytes) {
        adler.reset();
        adler.update(buffer, at, bytes);
        long sums = adler.getValue();
        long low = sums & 0xFFFF;
        long high = ((sums >>> 16) + low * (BLOCK_BYTES - bytes)) % ADLER_BASE;
        return (int) (high << 16 | low);
    }

    @Override
    public void close() {
        close(file);
    }

    private static void close(RandomAccessFile opened) {
        try {
            if (opened != null) {
                opened.close();
            }
        } catch (IOException readOnlyAnyway) {
            return;
        }
    }
}
