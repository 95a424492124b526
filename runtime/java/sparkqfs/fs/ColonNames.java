package sparkqfs.fs;

import java.io.IOException;
import java.net.URI;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FilterFileSystem;
import org.apache.hadoop.fs.Globber;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathFilter;

/**
 * A file system as Hadoop's patterns can read it where names have a colon: they put paths together from texts in which a
 * colon would end a scheme (Hadoop 3.4, Globber.java). Here another character stands in for it.
 */
final class ColonNames extends FilterFileSystem {
    private static final char STAND_IN = '\uF03A';

    /** Path with stand-ins → path, of all that was listed. */
    private final Map<String, Path> listed = new HashMap<>();

    private ColonNames(FileSystem files) {
        super(files);
    }

    /** What a pattern matches, as the file system itself would say it. */
    static FileStatus[] matched(FileSystem files, Path pattern, PathFilter filter) throws IOException {
        ColonNames names = new ColonNames(files);
        FileStatus[] found = Globber.createGlobber(names)
            .withPathPattern(path(pattern, text(pattern).replace(':', STAND_IN)))
            .withPathFiltern(shown -> filter.accept(names.real(shown)))
            .withResolveSymlinks(true).build().glob();
        for (FileStatus one : found == null ? new FileStatus[0] : found) {
            one.setPath(names.real(one.getPath()));
        }
        if (found != null) {
            Arrays.sort(found);
        }
        return found;
    }

    private static String text(Path path) {
        return path.toUri().getPath();
    }

    /** The path with another text, in the same file system; a text may have a colon here. */
    private static Path path(Path like, String text) {
        URI uri = like.toUri();
        return new Path(uri.getScheme(), uri.getAuthority(), text);
    }

    private Path real(Path shown) {
        Path known = listed.get(text(shown));
        if (known != null || shown.getParent() == null) {
            return known == null ? shown : path(shown, text(known));
        }
        return path(shown, inside(text(real(shown.getParent())), shown.getName().replace(STAND_IN, ':')));
    }

    private static String inside(String directory, String name) {
        return directory.endsWith("/") ? directory + name : directory + "/" + name;
    }

    @Override
    public FileStatus getFileStatus(Path shown) throws IOException {
        return fs.getFileStatus(real(shown));
    }

    @Override
    public FileStatus getFileLinkStatus(Path shown) throws IOException {
        return fs.getFileLinkStatus(real(shown));
    }

    @Override
    public FileStatus[] listStatus(Path shown) throws IOException {
        FileStatus[] found = fs.listStatus(real(shown));
        for (FileStatus one : found) {
            String name = one.getPath().getName();
            String text = inside(text(shown), name.replace(':', STAND_IN));
            listed.put(text, one.getPath());
            one.setPath(path(one.getPath(), text));
        }
        return found;
    }
}
