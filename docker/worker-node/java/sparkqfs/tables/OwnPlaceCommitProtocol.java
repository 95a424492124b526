package sparkqfs.tables;

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
import org.apache.spark.internal.io.FileCommitProtocol;
import org.apache.spark.sql.execution.datasources.SQLHadoopMapReduceCommitProtocol;
import scala.collection.immutable.Seq;

/**
 * Spark's way to write files, for several jobs that write into one directory at once. Upstream all of them work in
 * `_temporary/0`: who is done first moves the others' finished files to the table too, and removes the rest. Here a job
 * has `_temporary/NUMBER` of its own, removes no more than that, and fails when somebody has removed it meanwhile.
 */
public class OwnPlaceCommitProtocol extends SQLHadoopMapReduceCommitProtocol {
    private static final long serialVersionUID = 1;
    private static final String PENDING = FileOutputCommitter.PENDING_DIR_NAME;

    /** Of the committer's own output: the table's directory, or Spark's staging directory for some of its partitions. */
    private transient Path output;
    private transient Path own;
    private transient Path mark;

    public OwnPlaceCommitProtocol(String jobId, String path, boolean dynamicPartitionOverwrite) {
        super(jobId, path, dynamicPartitionOverwrite);
    }

    @Override
    public void setupJob(JobContext job) {
        Configuration conf = job.getConfiguration();
        int number = UUID.randomUUID().hashCode() & Integer.MAX_VALUE;
        conf.setInt("mapreduce.job.application.attempt.id", number);
        conf.setBoolean(FileOutputCommitter.FILEOUTPUTCOMMITTER_CLEANUP_SKIPPED, true);
        super.setupJob(job);
        if (output != null) {
            own = new Path(new Path(output, PENDING), Integer.toString(number));
            mark = new Path(new Path(own, PENDING), ".begun");
            try {
                own.getFileSystem(conf).create(mark, true).close();
            } catch (IOException error) {
                throw sneaky(error);
            }
        }
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
            if (own != null && !own.getFileSystem(job.getConfiguration()).exists(mark)) {
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

    /** Spark's methods are Scala's, which declare nothing. */
    @SuppressWarnings("unchecked")
    private static <T extends Throwable> RuntimeException sneaky(Throwable error) throws T {
        throw (T) error;
    }
}
