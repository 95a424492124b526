package sparkqfs.fs;

import java.io.Closeable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The chunk directories of the chunkserver that shares this container, and the metaserver that knows what is valid. */
final class LocalReplicas implements Closeable {
    private final String address = ownAddress();
    private final List<Path> directories;
    private final Metaserver metaserver;

    LocalReplicas(String metaserverHost, int metaserverPort) {
        directories = chunkDirectories();
        metaserver = new Metaserver(metaserverHost, metaserverPort);
    }

    /** What the chunkserver is called; empty outside a worker-node container. */
    static String ownAddress() {
        return System.getenv().getOrDefault("NODE_IP", "");
    }

    private static List<Path> chunkDirectories() {
        return Arrays.stream(System.getenv().getOrDefault("SPARKQFS_CHUNK_DIRS", "").split("\\s+"))
            .filter(text -> !text.isEmpty()).map(Path::of).filter(Files::isDirectory).toList();
    }

    /** Whether a chunkserver shares this container. */
    static boolean areHere() {
        return !ownAddress().isEmpty() && !chunkDirectories().isEmpty();
    }

    /** Which chunk is at {@code index}, now. */
    Metaserver.Chunk locate(long fileId, long index) throws Doubt {
        return metaserver.locate(fileId, index * ChunkFile.CHUNK_BYTES);
    }

    boolean isHere(Metaserver.Chunk chunk) {
        return chunk.addresses().contains(address);
    }

    /** Opens the replica that the metaserver says is here. */
    ChunkFile open(long fileId, Metaserver.Chunk chunk) throws Doubt {
        String name = fileId + "." + chunk.id() + "." + chunk.version();
        List<Path> found = new ArrayList<>();
        for (Path directory : directories) {
            Path path = directory.resolve(name);
            if (Files.exists(path)) {
                found.add(path);
            }
        }
        if (found.isEmpty()) {
            throw new Doubt(Doubt.Reason.MISSING, name);
        }
        if (found.size() > 1) {
            throw new Doubt(Doubt.Reason.DUPLICATE, found.toString());
        }
        ChunkFile file = new ChunkFile(found.get(0), fileId, chunk);
        try {
            file.checkFileSystem(metaserver);
        } catch (Doubt doubt) {
            file.close();
            throw doubt;
        }
        return file;
    }

    /** The chunkserver here is to read what was found damaged. */
    void report(Metaserver.Chunk chunk, Doubt doubt) {
        DamagedReplicas.report(chunk, address, doubt);
    }

    @Override
    public void close() {
        metaserver.close();
    }
}
