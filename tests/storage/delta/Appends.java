import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.delta.kernel.DataWriteContext;
import io.delta.kernel.Operation;
import io.delta.kernel.Table;
import io.delta.kernel.Transaction;
import io.delta.kernel.data.Row;
import io.delta.kernel.defaults.engine.DefaultEngine;
import io.delta.kernel.engine.Engine;
import io.delta.kernel.exceptions.ConcurrentTransactionException;
import io.delta.kernel.internal.util.Utils;
import io.delta.kernel.types.IntegerType;
import io.delta.kernel.types.StructType;
import io.delta.kernel.utils.CloseableIterable;
import io.delta.kernel.utils.CloseableIterator;
import io.delta.kernel.utils.DataFileStatus;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * A program that commits to a Delta table through Delta's own library without Spark, which has the same log and the same
 * way to it. Arguments: the table, this writer's name, settings as NAME=VALUE. Commands on standard input, one answer a
 * line: make; append N, with Delta's mark of what is sent again; files, the names of all files that commits have added.
 */
public final class Appends {
    private static final Pattern ADDED = Pattern.compile("\"add\":\\{\"path\":\"([^\"]*)\"");

    private final String top;
    private final String name;
    private final Configuration conf = new Configuration();
    private final Engine engine;

    private Appends(String[] arguments) {
        top = arguments[0];
        name = arguments[1];
        for (String setting : Arrays.asList(arguments).subList(2, arguments.length)) {
            conf.set(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
        }
        engine = DefaultEngine.create(conf);
    }

    public static void main(String[] arguments) throws IOException {
        Appends self = new Appends(arguments);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            String answer;
            try {
                answer = words[0].equals("make") ? self.make() : words[0].equals("append")
                    ? self.append(Integer.parseInt(words[1])) : self.files();
            } catch (IOException | RuntimeException failure) {
                failure.printStackTrace();
                answer = "failed " + failure;
            }
            System.out.println(answer.lines().findFirst().orElse(""));
            System.out.flush();
        }
    }

    private String make() {
        Table.forPath(engine, top).createTransactionBuilder(engine, "tests", Operation.CREATE_TABLE)
            .withSchema(engine, new StructType().add("n", IntegerType.INTEGER)).build(engine)
            .commit(engine, CloseableIterable.emptyIterable());
        return "done";
    }

    private String append(int number) {
        Transaction transaction;
        try {
            transaction = Table.forPath(engine, top).createTransactionBuilder(engine, "tests", Operation.WRITE)
                .withTransactionId(engine, name, number).build(engine);
        } catch (ConcurrentTransactionException committedBefore) {
            return "there";
        }
        Row state = transaction.getTransactionState(engine);
        DataWriteContext context = Transaction.getWriteContext(engine, state, Collections.emptyMap());
        String file = context.getTargetDirectory() + "/" + name + "-" + number;
        CloseableIterator<DataFileStatus> files = Utils.singletonCloseableIterator(
            new DataFileStatus(file, 1, 1, Optional.empty()));
        transaction.commit(engine, CloseableIterable.inMemoryIterable(
            Transaction.generateAppendActions(engine, state, files, context)));
        return "done";
    }

    private String files() throws IOException {
        Path log = new Path(top, "_delta_log");
        FileSystem system = log.getFileSystem(conf);
        FileStatus[] commits = Arrays.stream(system.listStatus(log))
            .filter(file -> file.getPath().getName().matches("[0-9]{20}\\.json"))
            .sorted(Comparator.comparing(file -> file.getPath().getName())).toArray(FileStatus[]::new);
        StringBuilder found = new StringBuilder("commits-" + commits.length);
        for (FileStatus commit : commits) {
            byte[] content = system.open(commit.getPath()).readAllBytes();
            Matcher added = ADDED.matcher(new String(content, StandardCharsets.UTF_8));
            while (added.find()) {
                found.append(' ').append(added.group(1));
            }
        }
        return found.toString();
    }
}
