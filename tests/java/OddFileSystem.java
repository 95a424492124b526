import java.io.IOException;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;

/** Plain files with a storage's moods: settings that begin with fs.odd. */
public class OddFileSystem extends RawLocalFileSystem {
    /** With {@code replaces=false} a name that is taken stays; with {@code halts} a file that has lost its name is the end. */
    @Override
    public boolean rename(Path from, Path to) throws IOException {
        if (pathToFile(to).exists() && !getConf().getBoolean("fs.odd.replaces", true)) {
            return false;
        }
        boolean done = super.rename(from, to);
        if (getConf().getBoolean("fs.odd.halts", false) && !from.getName().startsWith(".")) {
            Runtime.getRuntime().halt(9);
        }
        return done;
    }

    /** With {@code keeps} hidden files stay. */
    @Override
    public boolean delete(Path path, boolean deep) throws IOException {
        if (getConf().getBoolean("fs.odd.keeps", false) && path.getName().startsWith(".")) {
            throw new IOException("it stays");
        }
        return super.delete(path, deep);
    }
}
