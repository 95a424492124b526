package com.quantcast.qfs.hadoop;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Arrays;
import java.util.Iterator;

import com.quantcast.qfs.access.KfsFileAttr;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import sparkqfs.fs.StoredNames;

/**
 * Upstream's calls, with every name as it is stored on the way in and as it is meant on the way out. All of upstream's
 * Hadoop file system goes through these calls, so that no door is left out; a new call does not compile until it is here.
 */
final class NamedQfs implements IFSImpl {
    private final IFSImpl stored;

    NamedQfs(IFSImpl stored) {
        this.stored = stored;
    }

    /** What is asked about one path. */
    private interface Question<T> {
        T ask(String storedPath) throws IOException;
    }

    /** Asks; a failure speaks of the path that was meant. What is too long for QFS is not there. */
    private static <T> T about(String path, Question<T> question) throws IOException {
        String storedPath = StoredNames.ofPath(path);
        String tooLong = StoredNames.tooLong(storedPath);
        if (tooLong != null) {
            throw new FileNotFoundException(path + ": " + tooLong);
        }
        return asked(path, storedPath, question);
    }

    /** The same for what is made, or may be; a path that is too long is an error. */
    private static <T> T made(String path, Question<T> question) throws IOException {
        return asked(path, StoredNames.ofNew(path), question);
    }

    private static <T> T asked(String path, String storedPath, Question<T> question) throws IOException {
        try {
            return question.ask(storedPath);
        } catch (IOException failure) {
            String said = failure.getMessage();
            if (said == null || storedPath.equals(path) || !said.contains(storedPath)) {
                throw failure;
            }
            String meant = said.replace(storedPath, path);
            throw failure instanceof FileNotFoundException ? new FileNotFoundException(meant)
                : new IOException(meant, failure);
        }
    }

    private static String text(Path path) {
        return path.toUri().getPath();
    }

    /** The path with another text, in the same file system. */
    private static Path with(Path path, String text) {
        return new Path(path.toUri().getScheme(), path.toUri().getAuthority(), text);
    }

    private static FileStatus named(FileStatus status, Path path) throws IOException {
        status.setPath(path);
        if (status.isSymlink()) {
            status.setSymlink(new Path(StoredNames.pathOf(status.getSymlink().toString())));
        }
        return status;
    }

    @Override
    public boolean exists(String path) throws IOException {
        return stored.exists(StoredNames.ofPath(path));
    }

    @Override
    public boolean isDirectory(String path) throws IOException {
        return stored.isDirectory(StoredNames.ofPath(path));
    }

    @Override
    public boolean isFile(String path) throws IOException {
        return stored.isFile(StoredNames.ofPath(path));
    }

    @Override
    public String[] readdir(String path) throws IOException {
        String[] names = stored.readdir(StoredNames.ofPath(path));
        return names == null ? null : Arrays.stream(names).map(StoredNames::nameOf).toArray(String[]::new);
    }

    @Override
    public FileStatus[] readdirplus(Path path) throws IOException {
        return about(text(path), storedPath -> new Listing(stored, with(path, storedPath)).of(path));
    }

    @Override
    public FileStatus stat(Path path) throws IOException {
        return about(text(path), storedPath -> named(stored.stat(with(path, storedPath)), path));
    }

    @Override
    public FileStatus lstat(Path path) throws IOException {
        return about(text(path), storedPath -> named(stored.lstat(with(path, storedPath)), path));
    }

    @Override
    public KfsFileAttr fullStat(Path path) throws IOException {
        return about(text(path), storedPath -> stored.fullStat(with(path, storedPath)));
    }

    @Override
    public int mkdirs(String path, int mode) throws IOException {
        return stored.mkdirs(StoredNames.ofNew(path), mode);
    }

    @Override
    public int mkdir(String path, int mode) throws IOException {
        return stored.mkdir(StoredNames.ofNew(path), mode);
    }

    @Override
    public int rename(String source, String target) throws IOException {
        return stored.rename(StoredNames.ofPath(source), StoredNames.ofNew(target));
    }

    @Override
    public int rename2(String source, String target, boolean overwrite) throws IOException {
        return stored.rename2(StoredNames.ofPath(source), StoredNames.ofNew(target), overwrite);
    }

    @Override
    public int rmdir(String path) throws IOException {
        return stored.rmdir(StoredNames.ofPath(path));
    }

    @Override
    public int rmdirs(String path) throws IOException {
        return stored.rmdirs(StoredNames.ofPath(path));
    }

    @Override
    public int remove(String path) throws IOException {
        return stored.remove(StoredNames.ofPath(path));
    }

    @Override
    public long filesize(String path) throws IOException {
        return stored.filesize(StoredNames.ofPath(path));
    }

    @Override
    public short getReplication(String path) throws IOException {
        return stored.getReplication(StoredNames.ofPath(path));
    }

    @Override
    public short setReplication(String path, short replication) throws IOException {
        return stored.setReplication(StoredNames.ofPath(path), replication);
    }

    @Override
    public String[][] getDataLocation(String path, long start, long length) throws IOException {
        return stored.getDataLocation(StoredNames.ofPath(path), start, length);
    }

    @Override
    public String[][] getBlocksLocation(String path, long start, long length) throws IOException {
        return stored.getBlocksLocation(StoredNames.ofPath(path), start, length);
    }

    @Override
    public long getModificationTime(String path) throws IOException {
        return stored.getModificationTime(StoredNames.ofPath(path));
    }

    @Override
    public FSDataOutputStream create(String path, short replication, int bufferSize, boolean overwrite, int mode)
            throws IOException {
        return made(path, storedPath -> stored.create(storedPath, replication, bufferSize, overwrite, mode));
    }

    @Override
    public FSDataOutputStream create(
            String path, short replication, int bufferSize, boolean overwrite, int mode, boolean append)
            throws IOException {
        return made(path, storedPath -> stored.create(storedPath, replication, bufferSize, overwrite, mode, append));
    }

    @Override
    public FSDataOutputStream create(String path, boolean overwrite, String createParams, int mode, boolean forceType)
            throws IOException {
        return made(path, storedPath -> stored.create(storedPath, overwrite, createParams, mode, forceType));
    }

    @Override
    public FSDataOutputStream append(String path, short replication, int bufferSize) throws IOException {
        return made(path, storedPath -> stored.append(storedPath, replication, bufferSize));
    }

    @Override
    public FSDataInputStream open(String path, int bufferSize) throws IOException {
        return about(path, storedPath -> stored.open(storedPath, bufferSize));
    }

    @Override
    public void setPermission(String path, int mode) throws IOException {
        about(path, storedPath -> {
            stored.setPermission(storedPath, mode);
            return null;
        });
    }

    @Override
    public void setOwner(String path, String user, String group) throws IOException {
        about(path, storedPath -> {
            stored.setOwner(storedPath, user, group);
            return null;
        });
    }

    @Override
    public void retToIoException(int status) throws IOException {
        stored.retToIoException(status);
    }

    @Override
    public int getUMask() throws IOException {
        return stored.getUMask();
    }

    @Override
    public void setUMask(int mask) throws IOException {
        stored.setUMask(mask);
    }

    /** Upstream's asks the file system again about the path that it is given, so it cannot be given a stored one. */
    @Override
    public CloseableIterator<FileStatus> getFileStatusIterator(FileSystem files, Path path) throws IOException {
        if (!files.getFileStatus(path).isDirectory()) {
            throw new IOException(path + " is not a directory");
        }
        Iterator<FileStatus> all = Arrays.asList(readdirplus(files.makeQualified(path))).iterator();
        return new CloseableIterator<>() {
            @Override
            public boolean hasNext() {
                return all.hasNext();
            }

            @Override
            public FileStatus next() {
                return all.next();
            }

            @Override
            public void close() {
                // all is in memory
            }
        };
    }

    @Override
    public void symlink(String target, String link, int mode, boolean overwrite) throws IOException {
        stored.symlink(StoredNames.ofNew(target), StoredNames.ofNew(link), mode, overwrite);
    }

    @Override
    public Path getLinkTarget(Path path) throws IOException {
        return about(text(path), storedPath ->
            new Path(StoredNames.pathOf(stored.getLinkTarget(with(path, storedPath)).toString())));
    }
}
