package sparkqfs.recovery;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.zip.CRC32;
import org.apache.spark.deploy.master.PersistenceEngine;
import org.apache.spark.serializer.Serializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/**
 * A file for each worker and application: eight bytes of checksum, then the object as Spark's serializer writes it.
 *
 * <p>Spark's own engine over files gives up on the first one that it cannot read, and the master stays in STANDBY for
 * ever. Here such a file is left out and removed, and a file is whole or not there at all. A disk that takes no file
 * keeps no application from running: what is not kept is not found again, that is all.
 */
final class RecoveryFiles extends PersistenceEngine {
    private static final Logger LOG = LoggerFactory.getLogger(RecoveryFiles.class);
    private static final String PART = ".part";

    private final Path directory;
    private final Serializer serializer;

    RecoveryFiles(Path directory, Serializer serializer) {
        this.directory = directory;
        this.serializer = serializer;
    }

    @Override
    public void persist(String name, Object value) {
        Path part = directory.resolve(name + PART);
        try {
            ByteBuffer object = serializer.newInstance().serialize(value, ClassTag$.MODULE$.AnyRef());
            ByteBuffer sum = ByteBuffer.allocate(Long.BYTES).putLong(checksum(object)).flip();
            try (FileChannel file = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                    StandardOpenOption.TRUNCATE_EXISTING)) {
                write(file, sum);
                write(file, object);
                file.force(true);
            }
            Files.move(part, directory.resolve(name), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException failed) {
            LOG.error("cannot keep {}: a new master will not know it", name, failed);
            remove(part);
        }
    }

    @Override
    public void unpersist(String name) {
        remove(directory.resolve(name));
    }

    @Override
    public <T> Seq<T> read(String prefix, ClassTag<T> tag) {
        List<T> found = new ArrayList<>();
        for (Path file : files(prefix)) {
            try {
                found.add(one(file, tag));
            } catch (Exception | LinkageError damaged) { // Scala's methods declare no exception
                LOG.error("{} cannot be read and is left out", file, damaged);
                remove(file);
            }
        }
        return CollectionConverters.asScala(found).toSeq();
    }

    private <T> T one(Path file, ClassTag<T> tag) throws IOException {
        ByteBuffer content = ByteBuffer.wrap(Files.readAllBytes(file));
        if (content.remaining() < Long.BYTES || content.getLong() != checksum(content)) {
            throw new IOException("the checksum is wrong");
        }
        T value = serializer.newInstance().deserialize(content.slice(), tag);
        tag.runtimeClass().cast(value);
        return value;
    }

    /** In the order of their names. What was being written when the last master ended is removed. */
    private List<Path> files(String prefix) {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(directory, prefix + "*")) {
            for (Path file : all) {
                if (file.getFileName().toString().endsWith(PART)) {
                    remove(file);
                } else {
                    found.add(file);
                }
            }
        } catch (IOException | DirectoryIteratorException failed) {
            LOG.error("cannot look into {}: nothing is found again", directory, failed);
            return List.of();
        }
        Collections.sort(found);
        return found;
    }

    private static void remove(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException failed) {
            LOG.error("cannot remove {}", file, failed);
        }
    }

    private static void write(FileChannel file, ByteBuffer content) throws IOException {
        while (content.hasRemaining()) {
            file.write(content);
        }
    }

    private static long checksum(ByteBuffer content) {
        CRC32 sum = new CRC32();
        sum.update(content.duplicate());
        return sum.getValue();
    }
}
