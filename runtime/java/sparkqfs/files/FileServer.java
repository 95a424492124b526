package sparkqfs.files;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.ChecksumFileSystem;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.security.AccessControlException;

/**
 * Serves the files of one file system to one client over standard input and output, request by request, until the
 * input ends or the time is over. Usage: FileServer SECONDS. Every request has exactly one last answer: {@code ok …}
 * or {@code error KIND TEXT}, with KIND absent, denied or failed.
 */
public final class FileServer {
    private static final int ENTRIES_A_MESSAGE = 200;
    private static final int EXIT_TIME = 124;
    private static final int EXIT_ALONE = 125;

    private final Configuration conf;
    private final Wire wire;
    private final long endSeconds;

    FileServer(Configuration conf, Wire wire, long endSeconds) {
        this.conf = conf;
        this.wire = wire;
        this.endSeconds = endSeconds;
    }

    public static void main(String[] arguments) throws IOException {
        long seconds = Long.parseLong(arguments[0]);
        FileOutputStream out = new FileOutputStream(FileDescriptor.out);
        System.setOut(System.err); // what libraries print must not get between the frames
        Thread watch = new Thread(() -> endAfter(seconds), "deadline");
        watch.setDaemon(true);
        watch.start();
        long end = System.currentTimeMillis() / 1000 + seconds;
        Wire wire = new Wire(new FileInputStream(FileDescriptor.in), out);
        try {
            new FileServer(Settings.of(System.getenv()), wire, end).serve();
        } catch (Wire.Alone alone) {
            System.exit(EXIT_ALONE);
        }
        System.exit(0);
    }

    private static void endAfter(long seconds) {
        try {
            Thread.sleep(Math.multiplyExact(seconds, 1000L));
        } catch (InterruptedException | ArithmeticException never) {
            return;
        }
        System.err.println("file-server: the time is over");
        Runtime.getRuntime().halt(EXIT_TIME);
    }

    void serve() throws IOException {
        wire.send("ok", "1");
        for (Wire.Frame request = wire.read(); request != null; request = wire.read()) {
            if (request.text(0).equals("put")) {
                put(request);
                continue;
            }
            wire.setWorking(true);
            try {
                answer(request);
            } catch (IOException | RuntimeException | LinkageError failure) { // jars may be missing
                refuse(failure);
            } finally {
                wire.setWorking(false);
            }
        }
    }

    private void answer(Wire.Frame request) throws IOException {
        Path path = path(request.text(1));
        FileSystem system = system(path);
        switch (request.text(0)) {
            case "list" -> list(system, path, request.text(2).equals("1"));
            case "find" -> find(system, path, true);
            case "stat" -> find(system, path, false);
            case "sum" -> wire.send("ok", Digests.of(system, path));
            case "get" -> get(system, path);
            case "mkdirs" -> {
                if (!Disk.makeDirectories(system, path)) {
                    throw new IOException(Names.NOT_TAKEN);
                }
                wire.send("ok");
            }
            case "delete" -> {
                boolean gone = system.delete(path, request.text(2).equals("1"));
                if (!gone && Digests.statusOrNull(system, path) != null) {
                    throw new IOException("cannot be removed");
                }
                wire.send("ok", gone ? "1" : "0");
            }
            case "sweep" -> wire.send("ok", Integer.toString(Part.sweep(system, path)));
            default -> throw new IOException("no such request: " + request.text(0));
        }
    }

    /** In parts, because a name may hold a colon. */
    private static Path path(String uri) {
        int colon = uri.indexOf(':');
        if (colon <= 0 || uri.indexOf('/') != colon + 1) {
            throw new IllegalArgumentException("no URI: " + uri);
        }
        String scheme = uri.substring(0, colon);
        if (!uri.startsWith("//", colon + 1)) { // as Hadoop writes it where there is no server: file:/data
            return new Path(scheme, null, uri.substring(colon + 1));
        }
        int slash = uri.indexOf('/', colon + 3);
        String authority = slash < 0 ? uri.substring(colon + 3) : uri.substring(colon + 3, slash);
        return new Path(scheme, authority.isEmpty() ? null : authority, slash < 0 ? "/" : uri.substring(slash));
    }

    private FileSystem system(Path path) throws IOException {
        FileSystem system = path.getFileSystem(conf);
        if (system instanceof ChecksumFileSystem && path.getName().contains(":")) {
            throw new IOException(Names.NO_COLON);
        }
        system.setWriteChecksum(false); // no .crc files beside what is written on a local file system
        return system;
    }

    private void refuse(Throwable failure) throws IOException {
        String kind = "failed";
        if (failure instanceof FileNotFoundException) {
            kind = "absent";
        } else if (failure instanceof AccessControlException) {
            kind = "denied";
        }
        String why = failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
        wire.send("error", kind, why.lines().findFirst().orElse(why));
    }

    /** The path itself, as the first entry; of a directory what is in it, or with {@code deep} all that is below. */
    private void list(FileSystem system, Path path, boolean deep) throws IOException {
        List<String> some = new ArrayList<>(List.of("entries"));
        FileStatus top = system.getFileStatus(path);
        add(some, top);
        Deque<Path> todo = new ArrayDeque<>();
        if (top.isDirectory()) {
            todo.add(path);
        }
        while (!todo.isEmpty()) {
            RemoteIterator<FileStatus> items = system.listStatusIterator(todo.pop());
            while (items.hasNext()) {
                FileStatus item = items.next();
                boolean isLink = add(some, item);
                if (deep && item.isDirectory() && !isLink) {
                    todo.push(item.getPath());
                }
                sendMany(some);
            }
        }
        wire.send(some);
        wire.send("ok");
    }

    /** A message is not to get as long as a directory may. */
    private void sendMany(List<String> some) throws IOException {
        if (some.size() > ENTRIES_A_MESSAGE * 8) {
            wire.send(some);
            some.subList(1, some.size()).clear();
        }
    }

    /** What is there under this name; where nothing is, what it matches as a pattern. */
    private void find(FileSystem system, Path path, boolean asPattern) throws IOException {
        List<String> some = new ArrayList<>(List.of("entries"));
        FileStatus exact = Digests.statusOrNull(system, path);
        FileStatus[] found = exact == null && asPattern ? system.globStatus(path) : null;
        if (exact != null) {
            add(some, exact);
        }
        for (FileStatus item : found == null ? new FileStatus[0] : found) {
            add(some, item);
            sendMany(some);
        }
        wire.send(some);
        wire.send("ok");
    }

    /** Whether it is a symbolic link. */
    private static boolean add(List<String> texts, FileStatus item) {
        URI uri = item.getPath().toUri();
        boolean isLink = item.isSymlink()
            || "file".equals(uri.getScheme()) && Files.isSymbolicLink(java.nio.file.Path.of(uri.getPath()));
        String kind = item.isDirectory() ? "d" : "f";
        texts.addAll(List.of(uri.getPath(), isLink ? "l" : kind, Long.toString(item.getLen()),
            Long.toString(item.getModificationTime()), item.getPermission().toString(), item.getOwner(),
            item.getGroup(), Integer.toString(item.isDirectory() ? 0 : item.getReplication())));
        return isLink;
    }

    private void get(FileSystem system, Path path) throws IOException {
        FileStatus before = system.getFileStatus(path);
        if (before.isDirectory()) {
            throw new IOException("is a directory");
        }
        MessageDigest digest = Digests.sha256();
        byte[] buffer = new byte[Digests.BUFFER_BYTES];
        try (InputStream in = system.open(path)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                if (count > 0) {
                    digest.update(buffer, 0, count);
                    wire.send(buffer, count);
                }
            }
        }
        FileStatus after = system.getFileStatus(path);
        if (after.getLen() != before.getLen() || after.getModificationTime() != before.getModificationTime()) {
            throw new IOException("the file changed while it was read");
        }
        wire.send(buffer, 0);
        wire.send("ok", HexFormat.of().formatHex(digest.digest()));
    }

    /**
     * A file, written while it arrives. An error is told at once; what still comes then is read and forgotten, up to
     * the client's last message.
     */
    private void put(Wire.Frame request) throws IOException {
        boolean told = false;
        try {
            Path target = path(request.text(1));
            FileSystem system = system(target);
            FileStatus there = Digests.statusOrNull(system, target);
            if (there != null && there.isDirectory()) {
                throw new IOException("a directory of this name is there");
            }
            told = receive(system, target, request.text(2).equals("1"));
        } catch (Wire.Alone alone) {
            throw alone;
        } catch (IOException | RuntimeException | LinkageError failure) {
            refuse(failure);
            if (!(failure instanceof Finished)) {
                forget();
            }
            return;
        }
        if (!told) {
            wire.send("error", "failed", "given up");
        }
    }

    /** Tells of an error after the client's last message. */
    private static final class Finished extends IOException {
        private static final long serialVersionUID = 1L;

        Finished(Exception cause) {
            super(cause.getMessage(), cause);
        }
    }

    private boolean receive(FileSystem system, Path target, boolean overwrite) throws IOException {
        try (Part part = new Part(system, target, endSeconds)) {
            for (Wire.Frame frame = wire.next(); ; frame = wire.next()) {
                if (frame.data() != null) {
                    part.write(frame.data());
                    continue;
                }
                if (!frame.text(0).equals("sum")) {
                    return false;
                }
                String state;
                wire.setWorking(true);
                try {
                    state = part.finish(frame.text(1), overwrite);
                } catch (IOException | RuntimeException failure) {
                    throw new Finished(failure);
                } finally {
                    wire.setWorking(false);
                }
                wire.send("ok", state, Long.toString(part.size()));
                return true;
            }
        }
    }

    private void forget() throws IOException {
        while (wire.next().data() != null) {
            continue;
        }
    }
}
