package sparkqfs.fs;

import java.io.FileNotFoundException;
import java.io.IOException;

import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.security.AccessControlException;

/**
 * What FileContext's rename says when QFS refuses one, in the exceptions that Hadoop names for it. Writers of one table
 * race for a name by it: the metaserver gives it to one of them, and who is told {@link FileAlreadyExistsException} knows
 * that another has it. Upstream's says {@link IOException} for everything.
 */
final class Moves {
    private static final int NOT_PERMITTED = -1;
    private static final int NOT_THERE = -2;
    private static final int NO_ACCESS = -13;
    static final int IS_THERE = -17;
    private static final int NO_DIRECTORY = -20;
    private static final int IS_DIRECTORY = -21;
    private static final int INVALID = -22;
    private static final int NOT_EMPTY = -39;

    private final FileSystem files;
    private final Path source;
    private final Path target;

    Moves(FileSystem files, Path source, Path target) {
        this.files = files;
        this.source = source;
        this.target = target;
    }

    /** QFS calls it done. */
    void refuseOneName() throws IOException {
        if (source.toUri().getPath().equals(target.toUri().getPath())) {
            files.getFileLinkStatus(source);
            throw new FileAlreadyExistsException(source + " cannot be renamed to itself");
        }
    }

    /** The exception for an error number of Linux; {@code otherwise} for one without a name here. */
    IOException failure(int status, IOException otherwise) throws IOException {
        String move = source + " cannot be renamed to " + target + ": ";
        switch (status) {
            case IS_THERE:
                return new FileAlreadyExistsException(move + "that is there");
            case NOT_THERE:
                return new FileNotFoundException(move + missing() + " is not there");
            case NO_DIRECTORY:
                return isFile(target.getParent())
                    ? new ParentNotDirectoryException(move + target.getParent() + " is not a directory")
                    : new IOException(move + "a directory does not replace a file");
            case IS_DIRECTORY:
                return new IOException(move + "a file does not replace a directory");
            case NOT_EMPTY:
                return new IOException(move + "that directory is not empty");
            case INVALID:
                return new IOException(move + "that is not a place for it");
            case NO_ACCESS, NOT_PERMITTED:
                return new AccessControlException(move + "Permission denied");
            default:
                return otherwise;
        }
    }

    private Path missing() throws IOException {
        return isThere(source) ? target.getParent() : source;
    }

    private boolean isThere(Path path) throws IOException {
        try {
            files.getFileLinkStatus(path);
            return true;
        } catch (FileNotFoundException absent) {
            return false;
        }
    }

    private boolean isFile(Path path) throws IOException {
        try {
            FileStatus status = files.getFileStatus(path);
            return !status.isDirectory();
        } catch (FileNotFoundException absent) {
            return false;
        }
    }
}
