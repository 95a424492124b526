package warehouse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.UUID;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.JobContext;
import org.apache.hadoop.mapreduce.OutputCommitter;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.hadoop.mapreduce.lib.output.FileOutputCommitter;
import org.apache.hadoop.util.ShutdownHookManager;
import org.apache.spark.internal.io.FileCommitProtocol;
import org.apache.spark.sql.execution.datasources.SQLHadoopMapReduceCommitProtocol;
import scala.collection.immutable.Seq;

/**
 * Spark's way to write files, for several jobs that write into one directory at once. Upstream all of them work in
 * `_temporary/0`: who is done first moves the others' finished files to the table too, and removes the rest. Here a job
 * has `_temporary/NUMBER` of its own, removes no more than that, and fails when somebody has removed it meanwhile. It
 * fails too when its tasks do not find it: a path of the driver's machine, where each task would keep its rows to itself.
 */
public class OwnPlaceCommitProtocol extends SQLHadoopMapReduceCommitProtocol {
    private static final long serialVersionUID = 1;
    private static final String PENDING = FileOutputCommitter.PENDING_DIR_NAME;
    private static final String NUMBER = "mapreduce.job.application.attempt.id";
    private static final int TRIES = 25;
    private static final long PAUSE_MS = 200;
    /** After Spark has stopped its tasks (50), before Hadoop closes its file systems (10). */
    private static final int WHEN_THE_DRIVER_ENDS = 40;

    /** Of the committer's own output: the table's directory, or Spark's staging directory for some of its partitions. */
    private transient Path output;
    private transient Path own;
    private transient Runnable atTheEnd;

    public OwnPlaceCommitProtocol(String jobId, String path, boolean dynamicPartitionOverwrite) {
        super(jobId, path, dynamicPartitionOverwrite);
    }

    @Override
    public void setupJob(JobContext job) {
        Configuration conf = job.getConfiguration();
        int number = UUID.randomUUID().hashCode() & Integer.MAX_VALUE;
        conf.setInt(NUMBER, number);
        conf.setBoolean(FileOutputCommitter.FILEOUTPUTCOMMITTER_CLEANUP_SKIPPED, true);
        super.setupJob(job);
        if (output != null) {
            own = place(number);
            try {
                own.getFileSystem(conf).create(mark(own), true).close();
                atTheEnd = () -> removeQuietly(conf);
                ShutdownHookManager.get().addShutdownHook(atTheEnd, WHEN_THE_DRIVER_ENDS);
            } catch (IOException error) {
                throw sneaky(error);
            }
        }
    }

    @Override
    public void setupTask(TaskAttemptContext task) {
        super.setupTask(task);
        int number = task.getConfiguration().getInt(NUMBER, 0);
        if (output == null || number == 0) {
            return;
        }
        try {
            FileSystem files = output.getFileSystem(task.getConfiguration());
            if (files.getScheme().equals("file") && !isSeen(files, place(number))) {
                throw new IOException(output + " is another directory here than on the driver's machine. Write to the "
                        + "cluster's storage, or below file:///data/shared where the cluster has a shared directory");
            }
        } catch (IOException | InterruptedException error) {
            throw sneaky(error);
        }
    }

    /** A client of a network file system may remember for a moment what was not there; a listing makes it look again. */
    private static boolean isSeen(FileSystem files, Path own) throws IOException, InterruptedException {
        for (int tries = 0; !files.exists(mark(own)); tries++) {
            if (tries == TRIES) {
                return false;
            }
            for (Path path = own; path != null && path.depth() + 2 > own.depth(); path = path.getParent()) {
                Paths.get(path.toUri().getPath()).toFile().list();
            }
            Thread.sleep(PAUSE_MS);
        }
        return true;
    }

    private Path place(int number) {
        return new Path(new Path(output, PENDING), Integer.toString(number));
    }

    /** Not beside the finished tasks' directories: all that is there is moved to the table. */
    private static Path mark(Path own) {
        return new Path(new Path(own, PENDING), ".begun");
    }

    @Override
    public OutputCommitter setupCommitter(TaskAttemptContext task) {
        OutputCommitter committer = super.setupCommitter(task);
        output = committer instanceof FileOutputCommitter files ? files.getOutputPath() : null;
        return committer;
    }

    @Override
    public void commitJob(JobContext job, Seq<FileCommitProtocol.TaskCommitMessage> tasks) {
        try {
            if (own != null && !own.getFileSystem(job.getConfiguration()).exists(mark(own))) {
                throw new IOException("another program has removed or replaced " + output
                        + " while this one wrote into it: its rows are not complete, and none were added");
            }
            super.commitJob(job, tasks);
            removeOwn(job.getConfiguration());
        } catch (IOException error) {
            throw sneaky(error);
        }
    }

    @Override
    public void abortJob(JobContext job) {
        if (own == null) {
            super.abortJob(job);
            return;
        }
        try {
            removeOwn(job.getConfiguration());
            stagingDir().getFileSystem(job.getConfiguration()).delete(stagingDir(), true);
        } catch (IOException error) {
            throw sneaky(error);
        }
    }

    /** And the directory above it, when no other job is in there. */
    private void removeOwn(Configuration conf) throws IOException {
        if (own == null) {
            return;
        }
        if (!ShutdownHookManager.get().isShutdownInProgress()) {
            ShutdownHookManager.get().removeShutdownHook(atTheEnd);
        }
        FileSystem files = own.getFileSystem(conf);
        files.delete(own, true);
        Path pending = own.getParent();
        try {
            if (files.getScheme().equals("file")) {
                Files.deleteIfExists(Paths.get(pending.toUri().getPath())); // Hadoop's looks first and removes then
            } else {
                files.delete(pending, false);
            }
        } catch (IOException notEmpty) {
            return;
        }
    }

    /** For a driver that is ended in the middle: a table that has no name yet would be in its own way the next time. */
    private void removeQuietly(Configuration conf) {
        try {
            removeOwn(conf);
        } catch (IOException error) {
            System.err.println("cannot remove " + own + ": " + error.getMessage());
        }
    }

    /** Spark's methods are Scala's, which declare nothing. */
    @SuppressWarnings("unchecked")
    private static <T extends Throwable> RuntimeException sneaky(Throwable error) throws T {
        throw (T) error;
    }
}
