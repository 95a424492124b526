import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.stream.Collectors;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * A writer of a table's log, which commits as Delta does: a file of its own is renamed to the next number through
 * FileContext. Arguments: the file system's root, this writer's number, settings as NAME=VALUE. Commands on standard
 * input, one answer a line. A file of writer N has N + 1 bytes, so that a listing says whose it is.
 */
public final class Commits {
    private final URI root;
    private final int writer;
    private final Configuration conf = new Configuration();
    private final FileContext context;
    private Path own;
    private int made;

    private Commits(String[] arguments) throws IOException {
        root = URI.create(arguments[0]);
        writer = Integer.parseInt(arguments[1]);
        for (String setting : Arrays.asList(arguments).subList(2, arguments.length)) {
            conf.set(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
        }
        context = FileContext.getFileContext(root, conf);
    }

    public static void main(String[] arguments) throws IOException {
        Commits self = new Commits(arguments);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String answer;
            try {
                answer = self.answer(line.split(" "));
            } catch (IOException | RuntimeException failure) {
                answer = failure.getClass().getName() + ": " + String.valueOf(failure.getMessage()).lines().findFirst()
                    .orElse("");
            }
            System.out.println(answer);
            System.out.flush();
        }
    }

    private String answer(String[] words) throws IOException {
        switch (words[0]) {
            case "ready":
                prepare(words[1]);
                return "ready";
            case "commit":
                return commit(new Path(root.toString() + words[1] + "/" + words[2]));
            case "rename":
                context.rename(at(words[1]), at(words[2]),
                    words[3].equals("overwrite") ? Options.Rename.OVERWRITE : Options.Rename.NONE);
                return "done";
            case "create":
                write(context.create(at(words[1]), EnumSet.of(CreateFlag.CREATE)), Integer.parseInt(words[2]));
                return "done";
            case "create-as-spark":
                write(FileSystem.get(root, conf).create(at(words[1]), false), Integer.parseInt(words[2]));
                return "done";
            case "mkdir":
                context.mkdir(at(words[1]), FsPermission.getDirDefault(), true);
                return "done";
            case "mkdir-alone":
                context.mkdir(at(words[1]), FsPermission.getDirDefault(), false);
                return "done";
            case "lengths":
                return lengths(FileSystem.get(root, conf).listStatus(at(words[1])));
            case "contexts":
                for (int number = Integer.parseInt(words[1]); number > 0; number--) {
                    FileContext.getFileContext(root, conf).getFileStatus(at("/"));
                }
                return "done";
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private Path at(String path) {
        return new Path(root.toString() + path);
    }

    private static void write(OutputStream stream, int length) throws IOException {
        try (stream) {
            stream.write(new byte[length]);
        }
    }

    /** The loser of a race keeps its file for the next one. */
    private void prepare(String directory) throws IOException {
        if (own == null) {
            own = at(directory + "/." + writer + "." + made++ + ".tmp");
            write(context.create(own, EnumSet.of(CreateFlag.CREATE)), writer + 1);
        }
    }

    private String commit(Path target) throws IOException {
        try {
            context.rename(own, target, Options.Rename.NONE);
            own = null;
            return "won";
        } catch (FileAlreadyExistsException later) {
            return "lost";
        }
    }

    /** Of the finished files, in the order of their names. */
    private static String lengths(FileStatus[] found) {
        return Arrays.stream(found).filter(one -> !one.getPath().getName().startsWith("."))
            .sorted(Comparator.comparing(one -> one.getPath().getName()))
            .map(one -> Long.toString(one.getLen())).collect(Collectors.joining(" "));
    }
}
