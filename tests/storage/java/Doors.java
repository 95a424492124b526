import java.io.BufferedReader;
import java.io.FileNotFoundException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import com.quantcast.qfs.hadoop.CloseableIterator;
import com.quantcast.qfs.hadoop.QuantcastFileSystem;
import com.quantcast.qfs.hadoop.QuantcastFileSystem2;
import sparkqfs.fs.LocalReadFileSystem;
import sparkqfs.fs.StoredNames;

/**
 * Names through each way into a file system. Commands on standard input, one answer a line: DOOR COMMAND WORD…, with
 * words and answers in hexadecimal UTF-16. Doors: ours, upstream (what QFS stores), context (ours for FileContext).
 */
public final class Doors {
    private final FileSystem ours;
    private final FileSystem upstream;
    private final FileContext context;

    private Doors(URI root) throws Exception {
        Configuration conf = new Configuration();
        conf.set("fs.AbstractFileSystem.qfs.impl", "sparkqfs.fs.LocalReadFs");
        conf.set("fs.qfs.impl", "sparkqfs.fs.LocalReadFileSystem");
        conf.set("fs.qfs.createParams", "1");
        ours = new LocalReadFileSystem();
        ours.initialize(root, conf);
        upstream = new QuantcastFileSystem2();
        upstream.initialize(root, conf);
        context = FileContext.getFileContext(root, conf);
    }

    public static void main(String[] arguments) throws Exception {
        Doors self = new Doors(URI.create(arguments[0]));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            List<String> said = new ArrayList<>();
            try {
                String[] texts = Arrays.stream(words, 2, words.length).map(Doors::text).toArray(String[]::new);
                said.addAll(words[0].equals("context") ? self.context(words[1], texts)
                    : self.command(words[0].equals("ours") ? self.ours : self.upstream, words[1], texts));
            } catch (Exception failure) {
                said.add("!" + (failure instanceof FileNotFoundException ? "absent" : "failed"));
                said.add(String.valueOf(failure.getMessage()));
            }
            StringBuilder answer = new StringBuilder();
            said.forEach(one -> answer.append(hex(one)).append(' '));
            System.out.println("= " + answer.toString().strip());
            System.out.flush();
        }
    }

    private static String text(String word) {
        StringBuilder text = new StringBuilder(); // a charset would not give halves of characters as they are
        for (int at = 1; at < word.length(); at += 4) {
            text.append((char) HexFormat.fromHexDigits(word, at, at + 4));
        }
        return text.toString();
    }

    private static String hex(String text) {
        StringBuilder digits = new StringBuilder("x");
        text.chars().forEach(unit -> digits.append(String.format("%04x", unit)));
        return digits.toString();
    }

    private static Path path(String text) {
        return new Path(null, null, text);
    }

    private static List<String> names(FileStatus[] found) {
        return Arrays.stream(found).map(one -> one.getPath().getName()).toList();
    }

    private static List<String> one(Object answer) {
        return List.of(String.valueOf(answer));
    }

    private static List<String> read(InputStream stream) throws Exception {
        try (stream) {
            return one(new String(stream.readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    private static List<String> write(OutputStream stream, String text) throws Exception {
        try (stream) {
            stream.write(text.getBytes(StandardCharsets.UTF_8));
        }
        return one("written");
    }

    private static List<String> located(RemoteIterator<? extends FileStatus> found) throws Exception {
        List<String> names = new ArrayList<>();
        while (found.hasNext()) {
            FileStatus one = found.next();
            boolean isUnlocated = one instanceof LocatedFileStatus located && one.getLen() > 0
                && located.getBlockLocations()[0].getHosts().length == 0;
            names.add(one.getPath().getName() + (isUnlocated ? " has no hosts" : ""));
        }
        return names;
    }

    private List<String> command(FileSystem files, String command, String[] words) throws Exception {
        if (command.equals("stored")) {
            return one(StoredNames.ofName(words[0]));
        }
        if (command.equals("meant")) {
            return one(StoredNames.nameOf(words[0]));
        }
        Path path = path(words[0]);
        switch (command) {
            case "mkdirs":
                return one(files.mkdirs(path));
            case "write":
                return write(files.create(path, false), words[1]);
            case "write-in-parent":
                return write(files.createNonRecursive(path, false, 4096, (short) 1, 1L << 26, null), words[1]);
            case "append":
                return write(files.append(path), words[1]);
            case "read":
                return read(files.open(path));
            case "rename":
                return one(files.rename(path, path(words[1])));
            case "delete":
                return one(files.delete(path, true));
            case "exists":
                return one(files.exists(path));
            case "stat":
                return List.of(files.getFileStatus(path).getPath().toUri().getPath(),
                    "" + files.getFileStatus(path).getLen());
            case "list":
                return names(files.listStatus(path));
            case "located":
                return located(files.listLocatedStatus(path));
            case "below":
                return located(files.listFiles(path, true));
            case "one-by-one":
                return oneByOne((QuantcastFileSystem) files, path);
            case "glob":
                return names(files.globStatus(path));
            case "summary":
                return one(files.getContentSummary(path).getFileCount());
            case "chmod":
                files.setPermission(path, new FsPermission(Short.parseShort(words[1], 8)));
                return one(files.getFileStatus(path).getPermission());
            case "copies":
                return one(files.setReplication(path, Short.parseShort(words[1]))
                    ? files.getFileStatus(path).getReplication() : -1);
            case "link":
                files.createSymlink(path, path(words[1]), false);
                return one(files.getFileLinkStatus(path(words[1])).getSymlink());
            case "time":
                return one(time(files, path, Integer.parseInt(words[1])));
            default:
                throw new IllegalArgumentException(command);
        }
    }

    private static List<String> oneByOne(QuantcastFileSystem files, Path path) throws Exception {
        List<String> names = new ArrayList<>();
        CloseableIterator<FileStatus> found = files.getFileStatusIterator(path);
        while (found.hasNext()) {
            names.add(found.next().getPath().getName());
        }
        found.close();
        return names;
    }

    /** Milliseconds of one listing, the shortest of some. */
    private static double time(FileSystem files, Path path, int rounds) throws Exception {
        long best = Long.MAX_VALUE;
        for (int round = 0; round < rounds; round++) {
            long begun = System.nanoTime();
            files.listStatus(path);
            best = Math.min(best, System.nanoTime() - begun);
        }
        return best / 1e6;
    }

    private List<String> context(String command, String[] words) throws Exception {
        Path path = path(words[0]);
        switch (command) {
            case "mkdirs":
                context.mkdir(path, FsPermission.getDirDefault(), true);
                return one(true);
            case "mkdir":
                context.mkdir(path, FsPermission.getDirDefault(), false);
                return one(true);
            case "write":
                return write(context.create(path, EnumSet.of(CreateFlag.CREATE), Options.CreateOpts.createParent()),
                    words[1]);
            case "append":
                return write(context.create(path, EnumSet.of(CreateFlag.APPEND), Options.CreateOpts.createParent()),
                    words[1]);
            case "read":
                return read(context.open(path));
            case "rename":
                context.rename(path, path(words[1]));
                return one(true);
            case "replace":
                context.rename(path, path(words[1]), Options.Rename.OVERWRITE);
                return one(true);
            case "delete":
                return one(context.delete(path, true));
            case "exists":
                return one(context.util().exists(path));
            case "stat":
                return List.of(context.getFileStatus(path).getPath().toUri().getPath(),
                    "" + context.getFileStatus(path).getLen());
            case "list":
                return names(context.util().listStatus(path));
            case "located":
                return located(context.listLocatedStatus(path));
            case "below":
                return located(context.util().listFiles(path, true));
            case "glob":
                return names(context.util().globStatus(path));
            case "chmod":
                context.setPermission(path, new FsPermission(Short.parseShort(words[1], 8)));
                return one(context.getFileStatus(path).getPermission());
            case "copies":
                return one(context.setReplication(path, Short.parseShort(words[1]))
                    ? context.getFileStatus(path).getReplication() : -1);
            default:
                throw new IllegalArgumentException(command);
        }
    }
}
