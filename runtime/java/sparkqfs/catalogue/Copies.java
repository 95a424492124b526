package sparkqfs.catalogue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Copies of the catalogue that have been opened, one file each: made when it has changed.
 *
 * {@code catalogue.MILLISECONDS.zip} has {@code catalogue.json}, what is in it, and the database's directory below
 * {@code files}. {@code looked.json} says when the newest copy and the catalogue were last the same. Whoever makes a
 * file {@code wanted} is not kept waiting. The other side is runtime/sparkqfs_runtime/metadata/catalogue.py.
 */
final class Copies implements Runnable {
    static final long EVERY_MS = 500;
    /** Between two notes that nothing has changed. */
    static final long NOTE_MS = 5_000;
    /** Between two copies, at least, and so many times what the last one took. */
    static final long PAUSE_MS = 10_000;
    static final long PAUSE_MOST_MS = 120_000;
    static final int PAUSE_TIMES = 5;
    /** After one that failed. */
    static final long AGAIN_MS = 60_000;
    /** Copies that stay: whoever reads the one before the newest has time to end. */
    static final int STAY = 2;
    private static final String MAKING = ".making";
    /** Pages in memory of a copy that is only looked through. */
    private static final String FEW_PAGES = "40";
    private static final String PAGES = "derby.storage.pageCacheSize";

    private final Path place;
    private final Path folder;
    private String copied = "";
    private String newest = "";
    private String error = "";
    private double same;
    private long noted;
    private long next;

    Copies(Path place, Path folder) {
        this.place = place;
        this.folder = folder;
    }

    @Override
    public void run() {
        while (true) {
            try {
                Thread.sleep(EVERY_MS);
                look();
            } catch (InterruptedException ended) {
                return;
            } catch (IOException | SQLException | RuntimeException failed) {
                failed(failed);
            }
        }
    }

    private void failed(Exception failure) {
        next = now() + AGAIN_MS;
        String said = said(failure);
        if (!said.equals(error)) {
            System.err.println("copy of the catalogue: " + said);
        }
        error = said;
        try {
            note();
        } catch (IOException full) {
            System.err.println("copy of the catalogue: " + said(full));
        }
    }

    /** Makes a copy where there is something new and it is time. */
    void look() throws IOException, SQLException {
        Path wanted = folder.resolve("wanted");
        boolean isWanted = Files.exists(wanted);
        long begun = now();
        String stamp = stamp();
        if (!stamp.equals(copied) && (begun >= next || isWanted)) {
            Files.deleteIfExists(wanted);
            copy(begun);
            copied = stamp;
            long took = now() - begun;
            next = now() + Math.max(PAUSE_MS, Math.min(PAUSE_MOST_MS, PAUSE_TIMES * took));
        } else if (!stamp.equals(copied) || (!isWanted && begun < noted + NOTE_MS)) {
            return;
        }
        Files.deleteIfExists(wanted);
        same = begun / 1000.0;
        error = "";
        note();
    }

    private static long now() {
        return System.currentTimeMillis();
    }

    /** Another one after each change: Derby writes each into its log before it answers. */
    private String stamp() throws IOException {
        List<String> files = new ArrayList<>();
        try (Stream<Path> logs = Files.list(place.resolve("log"))) {
            for (Path log : (Iterable<Path>) logs::iterator) {
                BasicFileAttributes found = Files.readAttributes(log, BasicFileAttributes.class);
                files.add(log.getFileName() + " " + found.size() + " " + found.lastModifiedTime().to(
                    java.util.concurrent.TimeUnit.NANOSECONDS));
            }
        }
        Collections.sort(files);
        return String.join("\n", files);
    }

    private void copy(long begun) throws IOException, SQLException {
        Path making = folder.resolve(MAKING);
        remove(making);
        Files.createDirectories(making);
        try (Database database = new Database(place)) {
            database.copyTo(making);
        }
        Path made = making.resolve(place.getFileName());
        String contents = opened(made);
        Path part = making.resolve("part");
        pack(made, contents, begun, part);
        List<Path> before = all();
        long number = begun;  // a clock may be set back, and the newest copy is that of the largest number
        if (!before.isEmpty()) {
            String last = before.get(before.size() - 1).getFileName().toString();
            number = Math.max(number, Long.parseLong(last.split("\\.")[1]) + 1);
        }
        newest = String.format("catalogue.%013d.zip", number);
        Files.move(part, folder.resolve(newest), StandardCopyOption.ATOMIC_MOVE);
        sync(folder);
        remove(making);
        List<Path> all = all();
        for (Path old : all.subList(0, Math.max(0, all.size() - STAY))) {
            Files.delete(old);
        }
    }

    /** The copies, the oldest first. */
    private List<Path> all() throws IOException {
        List<Path> all = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            files.filter(one -> one.getFileName().toString().matches("catalogue\\.\\d{13}\\.zip")).forEach(all::add);
        }
        Collections.sort(all);
        return all;
    }

    /** What is in a copy. Whatever is wrong with it is found now and not when it is needed. */
    private static String opened(Path made) throws SQLException {
        String before = System.getProperty(PAGES);
        System.setProperty(PAGES, FEW_PAGES);
        try {
            Database copy = new Database(made);
            try {
                copy.check();
                return Contents.json(copy.connection());
            } finally {
                copy.shutDown();
            }
        } finally {
            if (before == null) {
                System.clearProperty(PAGES);
            } else {
                System.setProperty(PAGES, before);
            }
        }
    }

    private static void pack(Path made, String contents, long begun, Path part) throws IOException {
        try (FileChannel channel = FileChannel.open(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ZipOutputStream archive = new ZipOutputStream(Channels.newOutputStream(channel));
            archive.setLevel(Deflater.BEST_SPEED);
            archive.putNextEntry(new ZipEntry("catalogue.json"));
            archive.write(("{\"schema\": 1, \"at\": " + begun / 1000.0 + ", " + contents + "}\n")
                .getBytes(StandardCharsets.US_ASCII));
            List<Path> files = new ArrayList<>();
            try (Stream<Path> all = Files.walk(made)) {
                all.filter(Files::isRegularFile).forEach(files::add);
            }
            Collections.sort(files);
            for (Path file : files) {
                String name = made.relativize(file).toString();
                if (!name.endsWith(".lck") && !name.startsWith("tmp/")) {
                    put(archive, "files/" + name, file);
                }
            }
            archive.finish();
            archive.flush();
            channel.force(true);
        }
    }

    private static void put(ZipOutputStream archive, String name, Path file) throws IOException {
        archive.putNextEntry(new ZipEntry(name));
        Files.copy(file, (OutputStream) archive);
        archive.closeEntry();
    }

    private void note() throws IOException {
        noted = now();
        Path part = folder.resolve(".looked");
        Files.writeString(part, "{\"schema\": 1, \"at\": " + same + ", \"copy\": " + Contents.quoted(newest)
            + ", \"error\": " + Contents.quoted(error) + "}\n");
        Files.move(part, folder.resolve("looked.json"), StandardCopyOption.ATOMIC_MOVE);
    }

    private static void sync(Path directory) throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException failed) { // as in durable.py: some file systems have nothing to sync in a directory
            String said = String.valueOf(failed.getMessage());
            if (!said.contains("Invalid argument") && !said.contains("not supported")) {
                throw failed;
            }
        }
    }

    private static void remove(Path top) throws IOException {
        if (!Files.exists(top)) {
            return;
        }
        Files.walkFileTree(top, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes found) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, IOException failed) throws IOException {
                Files.delete(folder);
                return FileVisitResult.CONTINUE;
            }
        });
    }

    /** The first and the last cause: Derby hides the reason behind a general one. */
    static String said(Exception failure) {
        Throwable last = failure;
        while (true) {
            Throwable inner = last instanceof SQLException more && more.getNextException() != null
                ? more.getNextException() : last.getCause();
            if (inner == null || inner == last) {
                break;
            }
            last = inner;
        }
        return last == failure ? String.valueOf(failure) : failure + ": " + last;
    }
}
